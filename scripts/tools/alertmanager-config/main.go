// Command alertmanager-config says what the Prometheus operator makes of the configuration in its Secret: it
// reads and writes it in types of its own, so what Alertmanager takes may be refused or lost on the way.
//
//	alertmanager-config VERSION < alertmanager.yaml     VERSION of Alertmanager, such as v0.34.0
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/blang/semver/v4"
	"github.com/prometheus-operator/prometheus-operator/pkg/alertmanager"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: alertmanager-config VERSION < alertmanager.yaml")
	}
	version, err := semver.ParseTolerant(os.Args[1])
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	builder := alertmanager.NewConfigBuilder(slog.New(slog.DiscardHandler), version, nil, &monitoringv1.Alertmanager{})
	if err := builder.InitializeFromRawConfiguration(raw); err != nil {
		return err
	}
	// No object adds to it, but here it is fitted to the version.
	if err := builder.AddAlertmanagerConfigs(context.Background(), nil); err != nil {
		return err
	}
	made, err := builder.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(made)
	return err
}

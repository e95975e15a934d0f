package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	blackbox "github.com/prometheus/blackbox_exporter/config"
	prometheusclient "github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"k8s.io/kube-state-metrics/v2/pkg/allowdenylist"
	"k8s.io/kube-state-metrics/v2/pkg/builder"
	"k8s.io/kube-state-metrics/v2/pkg/customresourcestate"
	"k8s.io/kube-state-metrics/v2/pkg/metric"
	"k8s.io/kube-state-metrics/v2/pkg/optin"
	"k8s.io/kube-state-metrics/v2/pkg/options"
	yaml "sigs.k8s.io/yaml/goyaml.v3"
)

// blackboxExporter takes the text of its configuration file.
func blackboxExporter(input json.RawMessage) ([]refusal, error) {
	var text string
	if err := json.Unmarshal(input, &text); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "configcheck")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "blackbox.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	config := blackbox.NewSafeConfig(prometheusclient.NewRegistry())
	return said(config.ReloadConfig(path, slog.New(slog.DiscardHandler))), nil
}

// kubeStateMetrics takes its arguments, and the files that they may name.
func kubeStateMetrics(input json.RawMessage) ([]refusal, error) {
	var in struct {
		Args  []string          `json:"args"`
		Files map[string]string `json:"files"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	found := options.NewOptions()
	command := &cobra.Command{Use: "kube-state-metrics", SilenceUsage: true, SilenceErrors: true}
	command.Run = func(*cobra.Command, []string) {}
	command.SetArgs(in.Args)
	command.SetOut(io.Discard)
	command.SetErr(io.Discard)
	found.AddFlags(command)
	if err := found.Parse(); err != nil {
		return said(err), nil
	}
	if err := found.Validate(); err != nil {
		return said(err), nil
	}
	refused := append(said(stateMetricsSettings(found)), said(customResourceState(found, in.Files))...)
	for i := range refused {
		// Of every kind that there is, and each time in another order.
		refused[i].Message, _, _ = strings.Cut(refused[i].Message, ". Available resources: ")
	}
	return refused, nil
}

// stateMetricsSettings follows the order of its start: pkg/app/server.go.
func stateMetricsSettings(found *options.Options) error {
	stores := builder.NewBuilder()
	resources := found.Resources.AsSlice()
	if len(resources) == 0 {
		resources = options.DefaultResources.AsSlice()
	}
	if err := stores.WithEnabledResources(resources); err != nil {
		return fmt.Errorf("failed to set up resources: %w", err)
	}
	lists, err := allowdenylist.New(found.MetricAllowlist, found.MetricDenylist)
	if err != nil {
		return err
	}
	if err := lists.Parse(); err != nil {
		return fmt.Errorf("error initializing the allowdeny list: %w", err)
	}
	if _, err := optin.NewMetricFamilyFilter(found.MetricOptInList); err != nil {
		return fmt.Errorf("error initializing the opt-in metric list: %w", err)
	}
	if err := stores.WithAllowAnnotations(found.AnnotationsAllowList); err != nil {
		return fmt.Errorf("failed to set up annotations allowlist: %w", err)
	}
	if err := stores.WithAllowLabels(found.LabelsAllowList); err != nil {
		return fmt.Errorf("failed to set up labels allowlist: %w", err)
	}
	return nil
}

func customResourceState(found *options.Options, files map[string]string) error {
	text := found.CustomResourceConfig
	if text == "" {
		text = files[found.CustomResourceConfigFile]
	}
	if text == "" {
		return nil
	}
	// It makes the metrics only of kinds that the cluster has; here, all are taken to be there.
	if _, err := customresourcestate.FromConfig(yaml.NewDecoder(strings.NewReader(text)), nil); err != nil {
		return err
	}
	var config customresourcestate.Metrics
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	for _, resource := range config.Spec.Resources {
		for i := range resource.Metrics {
			each := &resource.Metrics[i].Each
			each.Type = metric.Type(strings.ToLower(string(each.Type)))
		}
		if _, err := customresourcestate.NewCustomResourceMetrics(resource); err != nil {
			return fmt.Errorf("failed to create metrics factory for %s: %w", resource.GroupVersionKind, err)
		}
	}
	return nil
}

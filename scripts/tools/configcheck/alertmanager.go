package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	_ "unsafe" // for go:linkname

	"github.com/blang/semver/v4"
	operatoralertmanager "github.com/prometheus-operator/prometheus-operator/pkg/alertmanager"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus-operator/prometheus-operator/pkg/operator"
	alertmanagerconfig "github.com/prometheus/alertmanager/config"
	appsv1 "k8s.io/api/apps/v1"
	yaml "sigs.k8s.io/yaml/goyaml.v3"
)

//go:linkname checkAlertmanagerConfig github.com/prometheus-operator/prometheus-operator/pkg/alertmanager.checkAlertmanagerConfigResource
func checkAlertmanagerConfig(context.Context, *monitoringv1alpha1.AlertmanagerConfig, semver.Version, *assets.StoreBuilder) error

//go:linkname makeAlertmanager github.com/prometheus-operator/prometheus-operator/pkg/alertmanager.makeStatefulSet
func makeAlertmanager(*slog.Logger, *monitoringv1.Alertmanager, operatoralertmanager.Config, string, *operator.ShardedSecret) (*appsv1.StatefulSet, error)

// dropped says what of an Alertmanager's configuration the operator leaves out.
func dropped(secret string, made []byte, version semver.Version) ([]refusal, error) {
	var before, after any
	if err := errors.Join(yaml.Unmarshal([]byte(secret), &before), yaml.Unmarshal(made, &after)); err != nil {
		return nil, err
	}
	var found []refusal
	for _, path := range lost("", before, after) {
		message := fmt.Sprintf("%s is left out for Alertmanager %s", path, version)
		found = append(found, refusal{Object: "Secret", Message: message})
	}
	return found, nil
}

// lost returns what is set in a configuration and no longer in what became of it.
func lost(path string, before, after any) []string {
	var found []string
	switch before := before.(type) {
	case map[string]any:
		after, _ := after.(map[string]any)
		for key, value := range before {
			found = append(found, lost(strings.TrimPrefix(path+"."+key, "."), value, after[key])...)
		}
	case []any:
		after, _ := after.([]any)
		for i, value := range before {
			if i < len(after) {
				found = append(found, lost(fmt.Sprintf("%s[%d]", path, i), value, after[i])...)
			}
		}
	default:
		if after == nil && before != nil && !reflect.ValueOf(before).IsZero() {
			found = append(found, path)
		}
	}
	return found
}

// alertmanager takes an Alertmanager, the configuration in its Secret, and the AlertmanagerConfigs that it may select:
// pkg/alertmanager/operator.go.
func alertmanager(input json.RawMessage) ([]refusal, error) {
	var in reconciled
	a := &monitoringv1.Alertmanager{}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	if in.decode(a) != nil {
		return nil, nil // The API server refuses it.
	}
	all, err := read(in.CRDs, append(in.Objects, in.Of)...)
	if err != nil {
		return nil, err
	}
	version, err := semver.ParseTolerant(operator.StringValOrDefault(a.Spec.Version, operator.DefaultAlertmanagerVersion))
	if err != nil {
		return said(err), nil
	}
	var found []refusal
	made := []byte(in.Secret)
	if a.Spec.AlertmanagerConfigSelector != nil {
		selected, err := all.selected("AlertmanagerConfig", a, a.Spec.AlertmanagerConfigSelector, a.Spec.AlertmanagerConfigNamespaceSelector)
		if err != nil {
			return said(err), nil
		}
		taken := map[string]*monitoringv1alpha1.AlertmanagerConfig{}
		for _, object := range selected {
			config := object.(*monitoringv1alpha1.AlertmanagerConfig)
			name := config.Namespace + "/" + config.Name
			if err := checkAlertmanagerConfig(background, config, version, all.store); err != nil {
				found = append(found, refusal{Object: "AlertmanagerConfig " + name, Message: line(err)})
				continue
			}
			taken[name] = config
		}
		builder := operatoralertmanager.NewConfigBuilder(silent, version, all.store, a)
		if err := builder.InitializeFromRawConfiguration(made); err != nil {
			return append(found, refusal{Object: "Secret", Message: line(err)}), nil
		}
		if err := builder.AddAlertmanagerConfigs(background, taken); err != nil {
			return append(found, refusal{Object: "Secret", Message: line(err)}), nil
		}
		if made, err = builder.MarshalJSON(); err != nil {
			return nil, err
		}
		if len(taken) == 0 { // Else more comes before what there was.
			more, err := dropped(in.Secret, made, version)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	if _, err := alertmanagerconfig.Load(string(made)); err != nil {
		found = append(found, refusal{Object: "Secret", By: "Alertmanager", Message: line(err)})
	}
	settings, err := parsed(in.Args)
	if err != nil {
		return found, nil // The operator itself refuses it.
	}
	config := operatoralertmanager.Config{LocalHost: settings.LocalHost, ReloaderConfig: settings.ReloaderConfig}
	_, err = makeAlertmanager(silent, a, config, "", &operator.ShardedSecret{})
	return append(found, said(err)...), nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	_ "unsafe" // for go:linkname

	"github.com/blang/semver/v4"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus-operator/prometheus-operator/pkg/kubelet"
	"github.com/prometheus-operator/prometheus-operator/pkg/operator"
	operatorprometheus "github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/prometheus/server" // for go:linkname
	"github.com/prometheus-operator/prometheus-operator/pkg/webconfig"
	prometheusclient "github.com/prometheus/client_golang/prometheus"
	prometheusconfig "github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/install" // What a configuration may discover by.
	"github.com/prometheus/prometheus/promql/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// The operator exports what selects and generates, not what makes the pods and checks the rest.

//go:linkname makePrometheus github.com/prometheus-operator/prometheus-operator/pkg/prometheus/server.makeStatefulSet
func makePrometheus(string, *monitoringv1.Prometheus, operatorprometheus.Config, *operatorprometheus.ConfigGenerator, []string, string, int32, *operator.ShardedSecret) (*appsv1.StatefulSet, error)

//go:linkname checkEndpoints github.com/prometheus-operator/prometheus-operator/pkg/prometheus/server.validateAlertmanagerEndpoints
func checkEndpoints(*monitoringv1.Prometheus, monitoringv1.AlertmanagerEndpoints) error

var (
	background = context.Background()
	silent     = slog.New(slog.DiscardHandler)
)

// flags are those of the operator's that what is checked depends on: cmd/operator/main.go.
type flags struct {
	operator.Config
	service                   string
	selector                  operator.LabelSelector
	priority                  operator.NodeAddressPriority
	endpoints, endpointSlices bool
}

func parsed(args []string) (*flags, error) {
	found := &flags{Config: operator.DefaultConfig("10m", "50Mi")}
	set := flag.NewFlagSet("operator", flag.ContinueOnError)
	set.StringVar(&found.service, "kubelet-service", "", "")
	set.Var(&found.selector, "kubelet-selector", "")
	set.Var(&found.priority, "kubelet-node-address-priority", "")
	set.BoolVar(&found.endpointSlices, "kubelet-endpointslice", false, "")
	set.BoolVar(&found.endpoints, "kubelet-endpoints", true, "")
	set.Var(&found.ReloaderConfig.CPURequests, "config-reloader-cpu-request", "")
	set.Var(&found.ReloaderConfig.CPULimits, "config-reloader-cpu-limit", "")
	set.Var(&found.ReloaderConfig.MemoryRequests, "config-reloader-memory-request", "")
	set.Var(&found.ReloaderConfig.MemoryLimits, "config-reloader-memory-limit", "")
	set.StringVar(&found.LocalHost, "localhost", "localhost", "")
	for _, arg := range args {
		name, value, valued := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if set.Lookup(name) == nil {
			continue
		}
		if !valued {
			value = "true"
		}
		if err := set.Set(name, value); err != nil {
			return nil, fmt.Errorf("invalid value %q for flag -%s: %w", value, name, err)
		}
	}
	return found, nil
}

// operatorFlags takes the operator's arguments.
func operatorFlags(input json.RawMessage) ([]refusal, error) {
	var args []string
	if err := json.Unmarshal(input, &args); err != nil {
		return nil, err
	}
	found, err := parsed(args)
	if err != nil || found.service == "" {
		return nil, nil // What it does not parse, the operator itself refuses.
	}
	namespace, name, ok := strings.Cut(found.service, "/")
	if !ok {
		return said(fmt.Errorf("malformatted kubelet object string %q, must be in format \"namespace/name\"", found.service)), nil
	}
	var options []kubelet.ControllerOption
	if found.endpointSlices {
		options = append(options, kubelet.WithEndpointSlice())
	}
	if found.endpoints {
		options = append(options, kubelet.WithEndpoints())
	}
	_, err = kubelet.New(silent, nil, nil, name, namespace, found.selector, nil, nil, options...)
	return said(err), nil
}

// objects are those that the operator reads, by kind.
type objects struct {
	namespaces cache.SharedIndexInformer
	byKind     map[string][]runtime.Object
	secrets    map[string]*corev1.Secret
	store      *assets.StoreBuilder
}

var kinds = map[string]func() runtime.Object{
	"AlertmanagerConfig": func() runtime.Object { return &monitoringv1alpha1.AlertmanagerConfig{} },
	"PodMonitor":         func() runtime.Object { return &monitoringv1.PodMonitor{} },
	"Probe":              func() runtime.Object { return &monitoringv1.Probe{} },
	"PrometheusRule":     func() runtime.Object { return &monitoringv1.PrometheusRule{} },
	"ScrapeConfig":       func() runtime.Object { return &monitoringv1alpha1.ScrapeConfig{} },
	"ServiceMonitor":     func() runtime.Object { return &monitoringv1.ServiceMonitor{} },
}

// withDefaults returns an object as the API server stores it, with the defaults of its CRD.
func withDefaults(text json.RawMessage, crds string) (json.RawMessage, error) {
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	kind, _ := object["kind"].(string)
	group, version, _ := strings.Cut(fmt.Sprint(object["apiVersion"]), "/")
	path := filepath.Join(crds, group, strings.ToLower(kind)+".json")
	if _, err := os.Stat(path); err != nil {
		return text, nil // A kind of Kubernetes itself.
	}
	of, err := validatorOf(path, version)
	if err != nil || of == nil {
		return text, err
	}
	defaulting.Default(object, of.structural)
	return json.Marshal(object)
}

func read(crds string, all ...json.RawMessage) (*objects, error) {
	found := &objects{
		namespaces: cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.Namespace{}, 0, cache.Indexers{}),
		byKind:     map[string][]runtime.Object{},
		secrets:    map[string]*corev1.Secret{},
	}
	named, labelled := references{}, map[string]map[string]string{}
	for _, text := range all {
		text, err := withDefaults(text, crds)
		if err != nil {
			return nil, err
		}
		var some metav1.PartialObjectMetadata
		if err := json.Unmarshal(text, &some); err != nil {
			return nil, err
		}
		if some.Kind == "Namespace" {
			labelled[some.Name] = some.Labels
			continue
		}
		if _, known := labelled[some.Namespace]; !known {
			labelled[some.Namespace] = nil
		}
		var content any
		if err := json.Unmarshal(text, &content); err != nil {
			return nil, err
		}
		named.add(some.Namespace, content)
		if some.Kind == "Secret" {
			secret := &corev1.Secret{}
			if err := json.Unmarshal(text, secret); err != nil {
				return nil, err
			}
			found.secrets[some.Namespace+"/"+some.Name] = secret
		}
		if made, ok := kinds[some.Kind]; ok {
			object := made()
			if json.Unmarshal(text, object) != nil {
				continue // The API server refuses it.
			}
			found.byKind[some.Kind] = append(found.byKind[some.Kind], object)
		}
	}
	for name, own := range labelled {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}}
		maps.Copy(namespace.Labels, own)
		if err := found.namespaces.GetStore().Add(namespace); err != nil {
			return nil, err
		}
	}
	found.store = assets.NewTestStoreBuilder(named.objects()...)
	return found, nil
}

// list lists the objects of a kind, as the operator's informers do.
func (o *objects) list(kind string) operatorprometheus.ListAllByNamespaceFn {
	return func(namespace string, selector labels.Selector, found cache.AppendFunc) error {
		for _, object := range o.byKind[kind] {
			meta := object.(metav1.Object)
			if meta.GetNamespace() == namespace && selector.Matches(labels.Set(meta.GetLabels())) {
				found(object)
			}
		}
		return nil
	}
}

// selected returns the objects of a kind that a resource selects.
func (o *objects) selected(kind string, by metav1.Object, own, ofNamespaces *metav1.LabelSelector) ([]any, error) {
	selector, err := metav1.LabelSelectorAsSelector(own)
	if err != nil {
		return nil, err
	}
	namespaces, err := operator.SelectNamespacesFromCache(by, ofNamespaces, o.namespaces)
	if err != nil {
		return nil, err
	}
	var found []any
	for _, namespace := range namespaces {
		if err := o.list(kind)(namespace, selector, func(object any) { found = append(found, object) }); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (o *objects) secret(namespace string, selector *corev1.SecretKeySelector) []byte {
	if selector == nil || o.secrets[namespace+"/"+selector.Name] == nil {
		return nil
	}
	return o.secrets[namespace+"/"+selector.Name].Data[selector.Key]
}

// rejected returns the objects that the operator leaves out, and those that it takes.
func rejected[T operator.ConfigurationResource](kind string, selection operator.TypedResourcesSelection[T], found *[]refusal) map[string]T {
	for name, one := range selection {
		for _, condition := range one.Conditions() {
			if condition.Status == monitoringv1.ConditionFalse {
				*found = append(*found, refusal{Object: kind + " " + name, Message: line(errors.New(condition.Message))})
			}
		}
	}
	return selection.ValidResources()
}

// reconciled is what the operator reads to reconcile a resource.
type reconciled struct {
	// Args are the operator's.
	Args []string `json:"args"`
	// CRDs is the folder of the CRDs, by group and kind.
	CRDs string `json:"crds"`
	// Of is the resource, Objects what it may select.
	Of      json.RawMessage   `json:"of"`
	Objects []json.RawMessage `json:"objects"`
	// Secret is the configuration that an Alertmanager names.
	Secret string `json:"secret"`
}

func (r *reconciled) decode(into any) error {
	text, err := withDefaults(r.Of, r.CRDs)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// prometheus takes a Prometheus and the objects that it may select. The order is that
// of the operator's sync: pkg/prometheus/server/operator.go.
func prometheus(input json.RawMessage) ([]refusal, error) {
	var in reconciled
	p := &monitoringv1.Prometheus{}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	if in.decode(p) != nil {
		return nil, nil // The API server refuses it.
	}
	all, err := read(in.CRDs, append(in.Objects, in.Of)...)
	if err != nil {
		return nil, err
	}
	var found []refusal
	selector, err := operatorprometheus.NewResourceSelector(silent, p, all.store, all.namespaces,
		operator.NewMetrics(prometheusclient.NewRegistry()), operator.NewFakeRecorder(len(in.Objects)+1, p))
	if err != nil {
		return said(err), nil
	}
	services, err1 := selector.SelectServiceMonitors(background, all.list("ServiceMonitor"))
	pods, err2 := selector.SelectPodMonitors(background, all.list("PodMonitor"))
	probes, err3 := selector.SelectProbes(background, all.list("Probe"))
	configs, err4 := selector.SelectScrapeConfigs(background, all.list("ScrapeConfig"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return said(err), nil
	}
	sMons, pMons := rejected("ServiceMonitor", services, &found), rejected("PodMonitor", pods, &found)
	bMons, sCons := rejected("Probe", probes, &found), rejected("ScrapeConfig", configs, &found)
	found = append(found, rules(p, all)...)

	cg, err := operatorprometheus.NewConfigGenerator(silent, p, operatorprometheus.WithEndpointSliceSupport())
	if err != nil {
		return append(found, said(err)...), nil
	}
	if err := stored(p, cg, all.store); err != nil {
		return append(found, said(err)...), nil
	}
	made, err := cg.GenerateServerConfiguration(p, sMons, pMons, bMons, sCons, all.store,
		all.secret(p.Namespace, p.Spec.AdditionalScrapeConfigs),
		all.secret(p.Namespace, p.Spec.AdditionalAlertRelabelConfigs),
		all.secret(p.Namespace, p.Spec.AdditionalAlertManagerConfigs), nil)
	if err != nil {
		return append(found, said(fmt.Errorf("generating config failed: %w", err))...), nil
	}
	if _, err := prometheusconfig.Load(string(made), silent); err != nil {
		found = append(found, refusal{By: "Prometheus", Message: line(err)})
	}
	settings, err := parsed(in.Args)
	if err != nil {
		return found, nil // The operator itself refuses it.
	}
	config := operatorprometheus.Config{LocalHost: settings.LocalHost, ReloaderConfig: settings.ReloaderConfig}
	_, err = makePrometheus(p.Name, p, config, cg, nil, "", 0, &operator.ShardedSecret{})
	return append(found, said(err)...), nil
}

func stored(p *monitoringv1.Prometheus, cg *operatorprometheus.ConfigGenerator, store *assets.StoreBuilder) error {
	if err := operatorprometheus.AddRemoteReadsToStore(background, store, p.Namespace, p.Spec.RemoteRead); err != nil {
		return err
	}
	if err := cg.AddRemoteWriteToStore(background, store, p.Namespace, p.Spec.RemoteWrite); err != nil {
		return err
	}
	if err := operatorprometheus.AddAPIServerConfigToStore(background, store, p.Namespace, p.Spec.APIServerConfig); err != nil {
		return err
	}
	if p.Spec.Alerting != nil {
		for i, endpoints := range p.Spec.Alerting.Alertmanagers {
			if err := checkEndpoints(p, endpoints); err != nil {
				return fmt.Errorf("alertmanager %d: %w", i, err)
			}
		}
	}
	if err := operatorprometheus.AddScrapeClassesToStore(background, store, p.Namespace, p.Spec.ScrapeClasses); err != nil {
		return fmt.Errorf("failed to process scrape classes: %w", err)
	}
	if p.Spec.Web != nil {
		if _, err := webconfig.New("/", "web", p.Spec.Web.WebConfigFileFields); err != nil {
			return fmt.Errorf("failed to initialize web config: %w", err)
		}
	}
	return nil
}

// rules checks rule files by Prometheus' own parser, as the operator calls it.
func rules(p *monitoringv1.Prometheus, all *objects) []refusal {
	version, err := semver.ParseTolerant(operator.StringValOrDefault(p.Spec.Version, operator.DefaultPrometheusVersion))
	if err != nil {
		return said(err)
	}
	options := parser.Options{}
	for _, feature := range p.Spec.EnableFeatures {
		switch feature {
		case "promql-experimental-functions":
			options.EnableExperimentalFunctions = true
		case "promql-duration-expr":
			options.ExperimentalDurationExpr = true
		case "promql-extended-range-selectors":
			options.EnableExtendedRangeSelectors = true
		case "promql-binop-fill-modifiers":
			options.EnableBinopFillModifiers = true
		}
	}
	var found []refusal
	selected, err := all.selected("PrometheusRule", p, p.Spec.RuleSelector, p.Spec.RuleNamespaceSelector)
	if err != nil {
		return said(err)
	}
	for _, object := range selected {
		rule := object.(*monitoringv1.PrometheusRule)
		for _, err := range operator.ValidateRule(rule.Spec, operator.ValidationSchemeForPrometheus(version), options) {
			found = append(found, refusal{Object: "PrometheusRule " + rule.Namespace + "/" + rule.Name, Message: line(err)})
		}
	}
	return found
}

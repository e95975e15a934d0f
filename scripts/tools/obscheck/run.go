package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	promtail "github.com/grafana/loki/v3/clients/pkg/logentry/stages"
	"github.com/grafana/loki/v3/clients/pkg/promtail/api"
	"github.com/grafana/loki/v3/pkg/logproto"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// testCase is what one source reads: the target as discovery finds it (`__meta_` labels, passed through
// discovery.relabel) and its lines. Each case runs through a pipeline of its own, from an empty state.
type testCase struct {
	ID     string            `json:"id"`
	Target map[string]string `json:"target"`
	Lines  []line            `json:"lines"`
}

type line struct {
	Timestamp time.Time `json:"timestamp"`
	Line      string    `json:"line"`
}

// result is what left the pipelines of one case.
type result struct {
	ID      string            `json:"id"`
	Target  map[string]string `json:"target"`  // after discovery.relabel; null if it dropped the target
	Entries []entry           `json:"entries"` // as Loki receives them, by time
	Metrics string            `json:"metrics"` // as Alloy exposes them
}

type entry struct {
	Labels             map[string]string `json:"labels"`
	StructuredMetadata map[string]string `json:"structured_metadata"`
	Timestamp          time.Time         `json:"timestamp"`
	Line               string            `json:"line"`
}

// report is what the rest of the repository must provide for a file.
type report struct {
	Environment []string            `json:"environment"` // variables it reads
	Labels      map[string][]string `json:"labels"`      // loki.write to the stream labels that can reach it
	Counters    []string            `json:"counters"`    // metrics it makes from entries
}

func (g *graph) report() report {
	r := report{Environment: slices.Sorted(maps.Keys(g.environment)), Labels: map[string][]string{}}
	incoming := map[string]map[string]bool{}
	for _, id := range g.order {
		if names := g.sourceLabels(g.components[id]); names != nil {
			g.spread(id, names, incoming)
		}
	}
	for _, id := range g.order {
		switch args := g.components[id].args.(type) {
		case *lokiWrite:
			names := maps.Clone(incoming[id])
			for n := range args.ExternalLabels {
				names[n] = true
			}
			r.Labels[id] = slices.Sorted(maps.Keys(names))
		case *process:
			r.Counters = append(r.Counters, counters(args.Stages)...)
		}
	}
	slices.Sort(r.Counters)
	r.Counters = slices.Compact(r.Counters)
	return r
}

// sourceLabels are the labels that a source gives to its entries, nil if it is none.
func (g *graph) sourceLabels(c *component) map[string]bool {
	switch args := c.args.(type) {
	case *sourceFile:
		names := map[string]bool{"filename": true}
		if r, ok := g.components[args.Targets].args.(*discoveryRelabel); ok {
			for _, rule := range r.Rules {
				if rule.TargetLabel != "" && !strings.HasPrefix(rule.TargetLabel, "__") {
					names[rule.TargetLabel] = true
				}
				if rule.Action == "labelmap" {
					names["* (labelmap)"] = true
				}
			}
		}
		return names
	case *sourceEvents:
		return map[string]bool{"namespace": true, "job": true, "instance": true}
	}
	return nil
}

func (g *graph) spread(id string, names map[string]bool, incoming map[string]map[string]bool) {
	c := g.components[id]
	if incoming[id] == nil {
		incoming[id] = map[string]bool{}
	}
	maps.Copy(incoming[id], names)
	if p, ok := c.args.(*process); ok {
		names = labelsAfter(p.Stages, names)
	}
	for _, to := range c.forwardTo() {
		g.spread(to, names, incoming)
	}
}

func counters(list []stage) (names []string) {
	for _, s := range list {
		if s.Match != nil {
			names = append(names, counters(s.Match.Stages)...)
		}
		if s.Metrics != nil {
			for _, m := range s.Metrics.Metrics {
				names = append(names, m.Counter.Prefix+m.Counter.Name)
			}
		}
	}
	return names
}

// run passes a case's lines from the file's source to loki.write.
func (g *graph) run(c testCase) (result, error) {
	r := result{ID: c.ID, Entries: []entry{}}
	var source *component
	for _, id := range g.order {
		if len(g.components[id].forwardTo()) > 0 && strings.HasPrefix(g.components[id].kind, "loki.source.") {
			source = g.components[id]
		}
	}
	if source == nil {
		return r, fmt.Errorf("the file has no loki.source component")
	}
	set, err := g.target(source, c.Target)
	if err != nil || set == nil {
		return r, err
	}
	r.Target = map[string]string{}
	stream := model.LabelSet{}
	for _, l := range set {
		r.Target[l.Name] = l.Value
		if !strings.HasPrefix(l.Name, "__") {
			stream[model.LabelName(l.Name)] = model.LabelValue(l.Value)
		}
	}
	if path, ok := r.Target["__path__"]; ok {
		stream["filename"] = model.LabelValue(strings.ReplaceAll(path, "*", "0"))
	}
	entries := []promtail.Entry{}
	for _, l := range c.Lines {
		entries = append(entries, promtail.Entry{
			Extracted: map[string]any{},
			Entry:     api.Entry{Labels: stream.Clone(), Entry: logproto.Entry{Timestamp: l.Timestamp, Line: l.Line}},
		})
	}
	metrics := &bytes.Buffer{}
	for _, to := range source.forwardTo() {
		if err := g.pass(to, entries, &r, metrics); err != nil {
			return r, err
		}
	}
	r.Metrics = metrics.String()
	slices.SortStableFunc(r.Entries, func(a, b entry) int { return a.Timestamp.Compare(b.Timestamp) })
	return r, nil
}

// target returns a target's labels after the discovery.relabel in front of its source.
func (g *graph) target(source *component, found map[string]string) (labels.Labels, error) {
	set := labels.FromMap(found)
	args, ok := source.args.(*sourceFile)
	if !ok {
		return set, nil
	}
	rules, ok := g.components[args.Targets].args.(*discoveryRelabel)
	if !ok {
		return set, nil
	}
	var configs []*relabel.Config
	for _, r := range rules.Rules {
		c, err := r.config()
		if err != nil {
			return nil, err
		}
		configs = append(configs, c)
	}
	set, keep := relabel.Process(set, configs...)
	if !keep {
		return nil, nil
	}
	b := labels.NewBuilder(set)
	for _, l := range set {
		if strings.HasPrefix(l.Name, model.MetaLabelPrefix) {
			b.Del(l.Name)
		}
	}
	return b.Labels(), nil
}

// pass runs entries through one component and what it forwards to. Everything that is left in a stage
// when the input ends comes out, as it does in Alloy after the stage's waiting time.
func (g *graph) pass(id string, entries []promtail.Entry, r *result, metrics *bytes.Buffer) error {
	c := g.components[id]
	if w, ok := c.args.(*lokiWrite); ok {
		for _, e := range entries {
			r.Entries = append(r.Entries, received(e, w.ExternalLabels))
		}
		return nil
	}
	p, err := newPipeline(c.args.(*process).Stages)
	if err != nil {
		return fmt.Errorf("%s: %w", c.place(), err)
	}
	in := make(chan promtail.Entry)
	out := p.Run(in)
	go func() {
		defer close(in)
		for _, e := range entries {
			e.Labels = e.Labels.Clone()
			e.Extracted = map[string]any{}
			in <- e
		}
	}()
	left := []promtail.Entry{}
	for e := range out {
		left = append(left, e)
	}
	// stage.match runs what it selects beside what it does not, so that order is lost.
	slices.SortStableFunc(left, func(a, b promtail.Entry) int { return a.Timestamp.Compare(b.Timestamp) })
	if err := expose(p, id, metrics); err != nil {
		return err
	}
	for _, to := range c.forwardTo() {
		if err := g.pass(to, left, r, metrics); err != nil {
			return err
		}
	}
	return nil
}

func received(e promtail.Entry, external map[string]string) entry {
	out := entry{
		Labels: map[string]string{}, StructuredMetadata: map[string]string{},
		Timestamp: e.Timestamp, Line: e.Line,
	}
	for name, value := range e.Labels {
		if value != "" { // no label, to Loki
			out.Labels[string(name)] = string(value)
		}
	}
	maps.Copy(out.Labels, external)
	for _, m := range e.StructuredMetadata {
		out.StructuredMetadata[m.Name] = m.Value
	}
	return out
}

// expose writes a pipeline's metrics under the names and with the two labels that Alloy gives them.
func expose(p *pipeline, id string, to *bytes.Buffer) error {
	families, err := p.registry.Gather()
	if err != nil {
		return err
	}
	path, component := "/", id[strings.LastIndex(id, "/")+1:]
	if i := strings.LastIndex(id, "/"); i > 0 {
		path = id[:i]
	}
	for _, f := range families {
		name := strings.Replace(f.GetName(), "logentry_", "loki_process_", 1)
		f.Name = &name
		for _, m := range f.Metric {
			m.Label = append(m.Label, pair("component_id", component), pair("component_path", path))
			slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
		}
		if _, err := expfmt.MetricFamilyToText(to, f); err != nil {
			return err
		}
	}
	return nil
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

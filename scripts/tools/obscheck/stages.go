package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-kit/log"
	promtail "github.com/grafana/loki/v3/clients/pkg/logentry/stages"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/client_golang/prometheus"
)

// stage is one block of loki.process: exactly one field is set. Attributes and defaults are those of
// Alloy v1.18 (internal/component/loki/process/stages); translate writes Promtail's configuration.
type stage struct {
	CRI                *criStage        `alloy:"cri,block,optional"`
	Decolorize         *decolorizeStage `alloy:"decolorize,block,optional"`
	Drop               *dropStage       `alloy:"drop,block,optional"`
	JSON               *jsonStage       `alloy:"json,block,optional"`
	LabelDrop          *namesStage      `alloy:"label_drop,block,optional"`
	LabelKeep          *namesStage      `alloy:"label_keep,block,optional"`
	Labels             *valuesStage     `alloy:"labels,block,optional"`
	Limit              *limitStage      `alloy:"limit,block,optional"`
	Logfmt             *logfmtStage     `alloy:"logfmt,block,optional"`
	Match              *matchStage      `alloy:"match,block,optional"`
	Metrics            *metricsStage    `alloy:"metrics,block,optional"`
	Multiline          *multilineStage  `alloy:"multiline,block,optional"`
	Output             *sourceStage     `alloy:"output,block,optional"`
	Regex              *regexStage      `alloy:"regex,block,optional"`
	Replace            *replaceStage    `alloy:"replace,block,optional"`
	StaticLabels       *valuesStage     `alloy:"static_labels,block,optional"`
	StructuredMetadata *valuesStage     `alloy:"structured_metadata,block,optional"`
	Template           *templateStage   `alloy:"template,block,optional"`
}

type (
	criStage struct {
		MaxPartialLines            int    `alloy:"max_partial_lines,attr,optional"`
		MaxPartialLineSize         uint64 `alloy:"max_partial_line_size,attr,optional"`
		MaxPartialLineSizeTruncate bool   `alloy:"max_partial_line_size_truncate,attr,optional"`
	}
	decolorizeStage struct{}
	dropStage       struct {
		Reason     string        `alloy:"drop_counter_reason,attr,optional"`
		Source     string        `alloy:"source,attr,optional"`
		Value      string        `alloy:"value,attr,optional"`
		Separator  string        `alloy:"separator,attr,optional"`
		Expression string        `alloy:"expression,attr,optional"`
		OlderThan  time.Duration `alloy:"older_than,attr,optional"`
	}
	jsonStage struct {
		Expressions map[string]string `alloy:"expressions,attr"`
		Source      string            `alloy:"source,attr,optional"`
	}
	namesStage struct {
		Values []string `alloy:"values,attr"`
	}
	valuesStage struct {
		Values map[string]string `alloy:"values,attr"`
	}
	limitStage struct {
		Rate              float64 `alloy:"rate,attr"`
		Burst             int     `alloy:"burst,attr"`
		Drop              bool    `alloy:"drop,attr,optional"`
		ByLabelName       string  `alloy:"by_label_name,attr,optional"`
		MaxDistinctLabels int     `alloy:"max_distinct_labels,attr,optional"`
	}
	logfmtStage struct {
		Mapping map[string]string `alloy:"mapping,attr"`
		Source  string            `alloy:"source,attr,optional"`
	}
	matchStage struct {
		Selector string  `alloy:"selector,attr"`
		Stages   []stage `alloy:"stage,enum,optional"`
		Action   string  `alloy:"action,attr,optional"`
		Reason   string  `alloy:"drop_counter_reason,attr,optional"`
	}
	metricsStage struct {
		Metrics []struct {
			Counter *counter `alloy:"counter,block,optional"`
		} `alloy:"metric,enum,optional"`
	}
	counter struct {
		Name        string        `alloy:"name,attr"`
		Description string        `alloy:"description,attr,optional"`
		Source      string        `alloy:"source,attr,optional"`
		Prefix      string        `alloy:"prefix,attr,optional"`
		MaxIdle     time.Duration `alloy:"max_idle_duration,attr,optional"`
		Value       string        `alloy:"value,attr,optional"`
		Action      string        `alloy:"action,attr"`
		MatchAll    bool          `alloy:"match_all,attr,optional"`
	}
	multilineStage struct {
		Firstline   string        `alloy:"firstline,attr"`
		MaxLines    uint64        `alloy:"max_lines,attr,optional"`
		MaxWaitTime time.Duration `alloy:"max_wait_time,attr,optional"`
	}
	sourceStage struct {
		Source string `alloy:"source,attr"`
	}
	regexStage struct {
		Expression string `alloy:"expression,attr"`
		Source     string `alloy:"source,attr,optional"`
	}
	replaceStage struct {
		Expression string `alloy:"expression,attr"`
		Source     string `alloy:"source,attr,optional"`
		Replace    string `alloy:"replace,attr,optional"`
	}
	templateStage struct {
		Source   string `alloy:"source,attr"`
		Template string `alloy:"template,attr"`
	}
)

// SetToDefault implements syntax.Defaulter.
func (c *counter) SetToDefault() { c.MaxIdle = 5 * time.Minute }

// SetToDefault implements syntax.Defaulter.
func (m *multilineStage) SetToDefault() { m.MaxLines, m.MaxWaitTime = 128, 3*time.Second }

type config = map[string]any

// newPipeline builds the stages with a registry of their own.
func newPipeline(list []stage) (*pipeline, error) {
	translated, err := translate(list)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	built, err := promtail.NewPipeline(log.NewNopLogger(), translated, nil, registry)
	if err != nil {
		return nil, err
	}
	return &pipeline{built, registry}, nil
}

type pipeline struct {
	*promtail.Pipeline
	registry *prometheus.Registry
}

func translate(list []stage) (promtail.PipelineStages, error) {
	out := promtail.PipelineStages{}
	for _, s := range list {
		name, c, err := s.promtail()
		if err != nil {
			return nil, err
		}
		out = append(out, promtail.PipelineStage{name: c})
	}
	return out, nil
}

// promtail returns the stage's name and configuration in Promtail. Names that differ: label_keep is
// labelallow, label_drop labeldrop. Differences in what the stages do, none of which shows in one batch
// of lines: an idle block of stage.multiline ends its stream in Alloy, and lines after it pass alone;
// structured metadata that is set twice replaces in Alloy and repeats in Promtail (see entry).
func (s stage) promtail() (string, any, error) {
	switch {
	case s.CRI != nil:
		c := config{"max_partial_line_size_truncate": s.CRI.MaxPartialLineSizeTruncate}
		if s.CRI.MaxPartialLines != 0 {
			c["max_partial_lines"] = s.CRI.MaxPartialLines
		}
		c["max_partial_line_size"] = s.CRI.MaxPartialLineSize
		return promtail.StageTypeCRI, c, nil
	case s.Decolorize != nil:
		return promtail.StageTypeDecolorize, config{}, nil
	case s.Drop != nil:
		c := optional(config{}, "drop_counter_reason", s.Drop.Reason, "value", s.Drop.Value,
			"separator", s.Drop.Separator, "expression", s.Drop.Expression)
		if s.Drop.Source != "" {
			c["source"] = strings.Split(s.Drop.Source, ",")
		}
		if s.Drop.OlderThan != 0 {
			c["older_than"] = s.Drop.OlderThan.String()
		}
		return promtail.StageTypeDrop, c, nil
	case s.JSON != nil:
		return promtail.StageTypeJSON, optional(config{"expressions": s.JSON.Expressions}, "source", s.JSON.Source), nil
	case s.LabelDrop != nil:
		return promtail.StageTypeLabelDrop, s.LabelDrop.Values, nil
	case s.LabelKeep != nil:
		return promtail.StageTypeLabelAllow, s.LabelKeep.Values, nil
	case s.Labels != nil:
		return promtail.StageTypeLabel, s.Labels.Values, nil
	case s.Limit != nil:
		return promtail.StageTypeLimit, config{
			"rate": s.Limit.Rate, "burst": s.Limit.Burst, "drop": s.Limit.Drop,
			"by_label_name": s.Limit.ByLabelName, "max_distinct_labels": s.Limit.MaxDistinctLabels,
		}, nil
	case s.Logfmt != nil:
		return promtail.StageTypeLogfmt, optional(config{"mapping": s.Logfmt.Mapping}, "source", s.Logfmt.Source), nil
	case s.Match != nil:
		return s.Match.promtail()
	case s.Metrics != nil:
		return s.Metrics.promtail()
	case s.Multiline != nil:
		return promtail.StageTypeMultiline, config{
			"firstline": s.Multiline.Firstline, "max_lines": s.Multiline.MaxLines,
			"max_wait_time": s.Multiline.MaxWaitTime.String(),
		}, nil
	case s.Output != nil:
		return promtail.StageTypeOutput, config{"source": s.Output.Source}, nil
	case s.Regex != nil:
		return promtail.StageTypeRegex, optional(config{"expression": s.Regex.Expression}, "source", s.Regex.Source), nil
	case s.Replace != nil:
		return promtail.StageTypeReplace, optional(
			config{"expression": s.Replace.Expression, "replace": s.Replace.Replace}, "source", s.Replace.Source,
		), nil
	case s.StaticLabels != nil:
		return promtail.StageTypeStaticLabels, s.StaticLabels.Values, nil
	case s.StructuredMetadata != nil:
		return promtail.StageTypeStructuredMetadata, s.StructuredMetadata.Values, nil
	case s.Template != nil:
		return promtail.StageTypeTemplate, config{"source": s.Template.Source, "template": s.Template.Template}, nil
	}
	return "", nil, fmt.Errorf("a stage without a translation")
}

func (m *matchStage) promtail() (string, any, error) {
	expr, err := syntax.ParseExpr(m.Selector)
	if err != nil {
		return "", nil, err
	}
	// Alloy keeps an early LogQL: a stream selector and line filters, nothing else.
	expr.Walk(func(e syntax.Expr) {
		switch e.(type) {
		case *syntax.MatchersExpr, *syntax.PipelineExpr, *syntax.LineFilterExpr:
		default:
			err = fmt.Errorf("selector %s: Alloy knows stream selectors and line filters only", m.Selector)
		}
	})
	if err != nil {
		return "", nil, err
	}
	inner, err := translate(m.Stages)
	if err != nil {
		return "", nil, err
	}
	c := optional(config{"selector": m.Selector}, "action", m.Action, "drop_counter_reason", m.Reason)
	if len(inner) > 0 {
		c["stages"] = inner
	}
	return promtail.StageTypeMatch, c, nil
}

func (m *metricsStage) promtail() (string, any, error) {
	out := config{}
	for _, metric := range m.Metrics {
		c := metric.Counter
		if c == nil {
			return "", nil, fmt.Errorf("a metric without a translation")
		}
		if c.Prefix == "" {
			c.Prefix = "loki_process_custom_"
		}
		// A null value matches all in Promtail, an empty one nothing.
		settings := config{"action": c.Action, "match_all": c.MatchAll}
		out[c.Name] = optional(config{
			"type": "Counter", "description": c.Description, "prefix": c.Prefix,
			"max_idle_duration": c.MaxIdle.String(), "config": optional(settings, "value", c.Value),
		}, "source", c.Source)
	}
	return promtail.StageTypeMetric, out, nil
}

// optional adds the pairs of key and value whose value is not empty.
func optional(c config, pairs ...string) config {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			c[pairs[i]] = pairs[i+1]
		}
	}
	return c
}

// labels returns the names of the labels that can leave the stages, given those that enter.
func labelsAfter(list []stage, names map[string]bool) map[string]bool {
	out := map[string]bool{}
	for n := range names {
		out[n] = true
	}
	for _, s := range list {
		switch {
		case s.CRI != nil:
			out["stream"] = true
		case s.Labels != nil:
			for n := range s.Labels.Values {
				out[n] = true
			}
		case s.StaticLabels != nil:
			for n := range s.StaticLabels.Values {
				out[n] = true
			}
		case s.LabelDrop != nil:
			for _, n := range s.LabelDrop.Values {
				delete(out, n)
			}
		case s.LabelKeep != nil:
			kept := map[string]bool{}
			for _, n := range s.LabelKeep.Values {
				kept[n] = out[n]
			}
			out = kept
		case s.Match != nil:
			for n, ok := range labelsAfter(s.Match.Stages, out) {
				out[n] = out[n] || ok
			}
		}
	}
	for n, ok := range out {
		if !ok {
			delete(out, n)
		}
	}
	return out
}

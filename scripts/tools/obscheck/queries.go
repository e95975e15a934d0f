package main

import (
	"fmt"
	"maps"
	"slices"

	logql "github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
	promql "github.com/prometheus/prometheus/promql/parser"
)

// query is one expression, with Grafana's variables already replaced.
type query struct {
	ID   string `json:"id"`
	Lang string `json:"lang"` // promql or logql
	Expr string `json:"expr"`
}

// answer says what an expression selects. Error is empty for a valid one.
type answer struct {
	ID        string     `json:"id"`
	Error     string     `json:"error"`
	Selectors []selector `json:"selectors"`
	Grouping  []string   `json:"grouping"` // labels in by, without, on, ignoring, group_left, group_right
	Demands   []demand   `json:"demands"`  // PromQL only
	Output    labelSet   `json:"output"`   // PromQL only
}

// selector is a vector or stream selector: its metric (PromQL only) and the labels its matchers name.
type selector struct {
	Metric   string    `json:"metric"`
	Matchers []matcher `json:"matchers"`
}

type matcher struct {
	Label string `json:"label"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

func parse(q query) answer {
	a := answer{ID: q.ID, Selectors: []selector{}, Demands: []demand{}}
	grouping := map[string]bool{}
	group := func(lists ...[]string) {
		for _, name := range slices.Concat(lists...) {
			grouping[name] = true
		}
	}
	var err error
	switch q.Lang {
	case "promql":
		var expr promql.Expr
		if expr, err = promql.NewParser(promql.Options{}).ParseExpr(q.Expr); err == nil {
			promql.Inspect(expr, func(node promql.Node, _ []promql.Node) error {
				switch n := node.(type) {
				case *promql.VectorSelector:
					a.Selectors = append(a.Selectors, promSelector(n))
				case *promql.AggregateExpr:
					group(n.Grouping)
				case *promql.BinaryExpr:
					if n.VectorMatching != nil {
						group(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)
					}
				}
				return nil
			})
			asked := demands{}
			a.Output = asked.of(expr).sorted()
			a.Demands = append(a.Demands, asked...)
		}
	case "logql":
		var expr logql.Expr
		if expr, err = logql.ParseExpr(q.Expr); err == nil {
			expr.Walk(func(e logql.Expr) bool {
				switch n := e.(type) {
				case *logql.MatchersExpr:
					a.Selectors = append(a.Selectors, selector{Matchers: matchers(n.Mts)})
				case *logql.VectorAggregationExpr:
					if n.Grouping != nil {
						group(n.Grouping.Groups)
					}
				case *logql.RangeAggregationExpr:
					if n.Grouping != nil {
						group(n.Grouping.Groups)
					}
				case *logql.BinOpExpr:
					if n.Opts != nil && n.Opts.VectorMatching != nil {
						group(n.Opts.VectorMatching.MatchingLabels, n.Opts.VectorMatching.Include)
					}
				}
				return true
			})
		}
	default:
		err = fmt.Errorf("lang is %q, not promql or logql", q.Lang)
	}
	if err != nil {
		a.Error = err.Error()
	}
	a.Grouping = append([]string{}, slices.Sorted(maps.Keys(grouping))...)
	return a
}

func promSelector(vs *promql.VectorSelector) selector {
	s := selector{Metric: vs.Name}
	var rest []*labels.Matcher
	for _, m := range vs.LabelMatchers {
		if m.Name != labels.MetricName {
			rest = append(rest, m)
		} else if m.Type == labels.MatchEqual {
			s.Metric = m.Value
		} else {
			rest = append(rest, m)
		}
	}
	s.Matchers = matchers(rest)
	return s
}

func matchers(list []*labels.Matcher) []matcher {
	out := []matcher{}
	for _, m := range list {
		out = append(out, matcher{m.Name, m.Type.String(), m.Value})
	}
	return out
}

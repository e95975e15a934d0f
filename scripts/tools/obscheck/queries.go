package main

import (
	"fmt"

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
	Clauses   []clause   `json:"clauses"`
	Demands   []demand   `json:"demands"`  // PromQL only
	Output    labelSet   `json:"output"`   // PromQL only
}

// selector is a vector or stream selector: its metric (PromQL only) and the labels its matchers name.
type selector struct {
	Metric   string    `json:"metric"`
	Matchers []matcher `json:"matchers"`
}

// clause is a list of labels by which an expression aggregates or matches. Operator is what they belong
// to, such as sum or unless.
type clause struct {
	Keyword  string   `json:"keyword"` // by, without, on, ignoring
	Operator string   `json:"operator"`
	Labels   []string `json:"labels"`
}

func newClause(positive bool, keywords [2]string, operator string, labels []string) clause {
	keyword := keywords[0]
	if !positive {
		keyword = keywords[1]
	}
	return clause{keyword, operator, append([]string{}, labels...)}
}

var (
	grouped = [2]string{"by", "without"}
	matched = [2]string{"on", "ignoring"}
)

type matcher struct {
	Label string `json:"label"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

func parse(q query) answer {
	a := answer{ID: q.ID, Selectors: []selector{}, Clauses: []clause{}, Demands: []demand{}}
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
					if n.Without || len(n.Grouping) > 0 {
						a.Clauses = append(a.Clauses, newClause(!n.Without, grouped, n.Op.String(), n.Grouping))
					}
				case *promql.BinaryExpr:
					if m := n.VectorMatching; m != nil && (m.On || len(m.MatchingLabels) > 0) {
						a.Clauses = append(a.Clauses, newClause(m.On, matched, n.Op.String(), m.MatchingLabels))
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
					a.Clauses = append(a.Clauses, ofGrouping(n.Grouping, n.Operation)...)
				case *logql.RangeAggregationExpr:
					a.Clauses = append(a.Clauses, ofGrouping(n.Grouping, n.Operation)...)
				case *logql.BinOpExpr:
					if n.Opts == nil || n.Opts.VectorMatching == nil {
						break
					}
					if m := n.Opts.VectorMatching; m.On || len(m.MatchingLabels) > 0 {
						a.Clauses = append(a.Clauses, newClause(m.On, matched, n.Op, m.MatchingLabels))
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
	return a
}

func ofGrouping(g *logql.Grouping, operator string) []clause {
	if g == nil || !g.Without && len(g.Groups) == 0 {
		return nil
	}
	return []clause{newClause(!g.Without, grouped, operator, g.Groups)}
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

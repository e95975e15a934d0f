package main

import (
	"maps"
	"slices"

	promql "github.com/prometheus/prometheus/promql/parser"
)

// labelSet is an upper bound of the labels that an expression's series can have: those named, and all that
// the metrics have. Any is true where nothing can be said.
type labelSet struct {
	Labels  []string `json:"labels"`
	Metrics []string `json:"metrics"`
	Any     bool     `json:"any"`
}

// demand is a label that an expression names and that its operand can only have from one of the metrics.
type demand struct {
	Label   string   `json:"label"`
	Place   string   `json:"place"` // by, without, on, ignoring, group_left, label_replace
	Metrics []string `json:"metrics"`
}

func (s labelSet) with(labels ...string) labelSet {
	s.Labels = append(slices.Clone(s.Labels), labels...)
	return s
}

func union(list ...labelSet) labelSet {
	var u labelSet
	for _, s := range list {
		u.Labels = append(u.Labels, s.Labels...)
		u.Metrics = append(u.Metrics, s.Metrics...)
		u.Any = u.Any || s.Any
	}
	return u
}

func (s labelSet) sorted() labelSet {
	distinct := func(list []string) []string {
		set := map[string]bool{}
		for _, item := range list {
			set[item] = true
		}
		return append([]string{}, slices.Sorted(maps.Keys(set))...)
	}
	return labelSet{distinct(s.Labels), distinct(s.Metrics), s.Any}
}

// demands collects what the parts of one expression ask for.
type demands []demand

func (d *demands) ask(place string, of labelSet, labels ...string) {
	for _, label := range labels {
		if !of.Any && label != "__name__" && !slices.Contains(of.Labels, label) {
			*d = append(*d, demand{label, place, of.sorted().Metrics})
		}
	}
}

// of returns an expression's labels, by the rules of Prometheus' evaluation: promql/engine.go,
// resultMetric and aggregation.
func (d *demands) of(expr promql.Expr) labelSet {
	switch n := expr.(type) {
	case *promql.VectorSelector:
		metric := promSelector(n).Metric
		if metric == "" {
			return labelSet{Any: true}
		}
		return labelSet{Metrics: []string{metric}}
	case *promql.MatrixSelector:
		return d.of(n.VectorSelector)
	case *promql.SubqueryExpr:
		return d.of(n.Expr)
	case *promql.ParenExpr:
		return d.of(n.Expr)
	case *promql.UnaryExpr:
		return d.of(n.Expr)
	case *promql.StepInvariantExpr:
		return d.of(n.Expr)
	case *promql.AggregateExpr:
		return d.ofAggregation(n)
	case *promql.BinaryExpr:
		return d.ofBinary(n)
	case *promql.Call:
		return d.ofCall(n)
	}
	return labelSet{}
}

func (d *demands) ofAggregation(n *promql.AggregateExpr) labelSet {
	inner := d.of(n.Expr)
	if n.Param != nil {
		d.of(n.Param)
	}
	result := labelSet{Labels: n.Grouping}
	if n.Without {
		d.ask("without", inner, n.Grouping...)
		result = inner
	} else {
		d.ask("by", inner, n.Grouping...)
	}
	switch n.Op {
	case promql.TOPK, promql.BOTTOMK, promql.LIMITK, promql.LIMIT_RATIO:
		return inner
	case promql.COUNT_VALUES:
		return result.with(literal(n.Param))
	}
	return result
}

func (d *demands) ofBinary(n *promql.BinaryExpr) labelSet {
	left, right := d.of(n.LHS), d.of(n.RHS)
	m := n.VectorMatching
	if m == nil {
		return union(left, right)
	}
	if m.On {
		d.ask("on", left, m.MatchingLabels...)
		d.ask("on", right, m.MatchingLabels...)
	} else {
		d.ask("ignoring", union(left, right), m.MatchingLabels...)
	}
	many, one := left, right
	if m.Card == promql.CardOneToMany {
		many, one = right, left
	}
	d.ask("group_left", one, m.Include...)
	switch {
	case n.Op == promql.LOR:
		return union(left, right)
	case n.Op == promql.LAND, n.Op == promql.LUNLESS:
		return left
	case m.Card != promql.CardOneToOne:
		return many.with(m.Include...)
	case m.On:
		return labelSet{Labels: m.MatchingLabels}
	}
	return left
}

func (d *demands) ofCall(n *promql.Call) labelSet {
	args := make([]labelSet, len(n.Args))
	for i, arg := range n.Args {
		args[i] = d.of(arg)
	}
	switch n.Func.Name {
	case "label_replace":
		if source := literal(n.Args[3]); source != "" {
			d.ask("label_replace", args[0], source)
		}
		return args[0].with(literal(n.Args[1]))
	case "label_join":
		for _, arg := range n.Args[3:] {
			d.ask("label_join", args[0], literal(arg))
		}
		return args[0].with(literal(n.Args[1]))
	case "absent", "absent_over_time":
		return ofAbsent(n.Args[0])
	case "info", "vector":
		return labelSet{Any: true}
	}
	return union(args...)
}

// ofAbsent returns the labels that equality matchers fix: promql/functions.go, createLabelsForAbsentFunction.
func ofAbsent(expr promql.Expr) labelSet {
	if matrix, ok := expr.(*promql.MatrixSelector); ok {
		expr = matrix.VectorSelector
	}
	selector, ok := expr.(*promql.VectorSelector)
	if !ok {
		return labelSet{}
	}
	var fixed labelSet
	for _, m := range promSelector(selector).Matchers {
		if m.Type == "=" {
			fixed = fixed.with(m.Label)
		}
	}
	return fixed
}

func literal(expr promql.Expr) string {
	if text, ok := expr.(*promql.StringLiteral); ok {
		return text.Val
	}
	return ""
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// Prometheus' default of --query.lookback-delta.
	lookback = 5 * time.Minute
	// Evaluations that one range query answers: enough to select series and decode chunks seldom, few
	// enough that the intermediate results of a query over thousands of series fit in memory.
	window = 240
)

// ruleSet is all rules of all files, in the order in which a server evaluates them.
type ruleSet struct {
	rules  []*rule
	parser parser.Parser
}

// rule is one rule as a rules.Group of its own, so that it can be evaluated over the whole period before
// the rules that use its result.
type rule struct {
	rules.Rule
	group     *rules.Group // that it was loaded in
	interval  time.Duration
	selectors []*parser.VectorSelector

	alone *rules.Group
	open  map[uint64]*firing
}

// firing is one alert from when it fired until it was resolved, or the period ended.
type firing struct {
	Alertname string            `json:"alertname"`
	Labels    map[string]string `json:"labels"`
	State     string            `json:"state"`
	Start     int64             `json:"start"`
	End       int64             `json:"end"`
	seen      int64
}

// loader loads rule files, and remembers the order of their groups.
type loader struct {
	parser parser.Parser
	keys   []string
}

// Load leaves annotations out: Prometheus expands their templates at each evaluation of each alert, and
// nothing of them is stored. Their syntax is checked.
func (l *loader) Load(file string, ignoreUnknown bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	groups, errs := rulefmt.ParseFile(file, ignoreUnknown, scheme, l.parser, promslog.NewNopLogger())
	if len(errs) > 0 {
		return nil, errs
	}
	for _, group := range groups.Groups {
		l.keys = append(l.keys, rules.GroupKey(file, group.Name))
		for i := range group.Rules {
			group.Rules[i].Annotations = nil
		}
	}
	return groups, nil
}

// Parse returns an expression that knows its text, as rules ask for it at each evaluation.
func (l *loader) Parse(query string) (parser.Expr, error) {
	expr, err := l.parser.ParseExpr(query)
	return printed{expr, expr.String()}, err
}

type printed struct {
	parser.Expr
	text string
}

func (p printed) String() string { return p.text }

// independent keeps the rules package from analysing what depends on what: it cannot look into printed.
type independent struct{}

func (independent) AnalyseRules([]rules.Rule) {}

func loadRules(files []string, interval time.Duration, external labels.Labels) (*ruleSet, error) {
	set := &ruleSet{parser: parser.NewParser(parser.Options{})}
	load := &loader{parser: set.parser}
	manager := rules.NewManager(&rules.ManagerOptions{
		GroupLoader:              load,
		RuleDependencyController: independent{},
	})
	groups, errs := manager.LoadGroups(interval, external, "", nil, false, files...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, key := range load.keys {
		group := groups[key]
		for _, r := range group.Rules() {
			loaded := &rule{Rule: r, group: group, interval: group.Interval(), open: map[uint64]*firing{}}
			parser.Inspect(r.Query().(printed).Expr, func(node parser.Node, _ []parser.Node) error {
				if selector, ok := node.(*parser.VectorSelector); ok {
					loaded.selectors = append(loaded.selectors, selector)
				}
				return nil
			})
			if alert, ok := r.(*rules.AlertingRule); ok {
				alert.SetRestored(true) // Else it does not write ALERTS.
			}
			set.rules = append(set.rules, loaded)
		}
	}
	return set, nil
}

// uses says whether a rule may select what another one writes.
func (r *rule) uses(other *rule) bool {
	names := []string{other.Name()}
	fixed := other.Labels().Map()
	if _, ok := other.Rule.(*rules.AlertingRule); ok {
		names = []string{"ALERTS", "ALERTS_FOR_STATE"}
		fixed[labels.AlertName] = other.Name()
	}
	for _, name := range names {
		fixed[labels.MetricName] = name
		for _, selector := range r.selectors {
			if !slices.ContainsFunc(selector.LabelMatchers, func(m *labels.Matcher) bool {
				v, ok := fixed[m.Name]
				return ok && !strings.Contains(v, "{{") && !m.Matches(v)
			}) {
				return true
			}
		}
	}
	return false
}

// batches returns the rules in an order in which each comes after those that it uses. Rules that use each
// other make one batch (Tarjan's strongly connected components).
func (set *ruleSet) batches() [][]*rule {
	var (
		all     [][]*rule
		stack   []int
		number  = make([]int, len(set.rules)) // in order of the visits, from 1
		lowest  = make([]int, len(set.rules)) // that can be reached
		stacked = make([]bool, len(set.rules))
		visits  int
		visit   func(i int)
	)
	visit = func(i int) {
		visits++
		number[i], lowest[i], stacked[i] = visits, visits, true
		stack = append(stack, i)
		for j, other := range set.rules {
			if !set.rules[i].uses(other) {
				continue
			}
			if number[j] == 0 {
				visit(j)
				lowest[i] = min(lowest[i], lowest[j])
			} else if stacked[j] {
				lowest[i] = min(lowest[i], number[j])
			}
		}
		if lowest[i] != number[i] {
			return
		}
		at := slices.Index(stack, i)
		members := slices.Sorted(slices.Values(stack[at:]))
		stack = stack[:at]
		batch := make([]*rule, len(members))
		for k, member := range members {
			stacked[member] = false
			batch[k] = set.rules[member]
		}
		all = append(all, batch)
	}
	for i := range set.rules {
		if number[i] == 0 {
			visit(i)
		}
	}
	return all
}

// evaluation is what came of the rules, besides series.
type evaluation struct {
	seconds map[string]float64 // by group
	alerts  []firing
}

// evaluate evaluates each rule at its interval over the whole period and writes the results to the head.
func (set *ruleSet) evaluate(head *tsdb.Head, p period, progress *progress) (*evaluation, error) {
	queryable := storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		return tsdb.NewBlockQuerier(tsdb.NewRangeHeadWithIsolationDisabled(head, mint, maxt), mint, maxt)
	})
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:               math.MaxInt,
		Timeout:                  time.Hour,
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   set.parser,
	})
	var (
		ctx     = context.Background()
		metrics = rules.NewGroupMetrics(nil)
		end     = p.at(p.samples - 1)
		done    = &evaluation{seconds: map[string]float64{}, alerts: []firing{}}
		count   int
	)
	for _, batch := range set.batches() {
		var step int64
		for _, r := range batch {
			ahead := &lookahead{engine: engine, queryable: queryable, expr: r.Query().String(), step: r.interval, window: window}
			if slices.ContainsFunc(batch, r.uses) {
				ahead.window = 1 // The next result depends on this one.
			}
			r.alone = rules.NewGroup(rules.GroupOptions{
				Name:        r.group.Name(),
				File:        r.group.File(),
				Interval:    r.interval,
				Limit:       r.group.Limit(),
				Rules:       []rules.Rule{r.Rule},
				QueryOffset: offset(r.group),
				Opts: &rules.ManagerOptions{
					QueryFunc:    ahead.query,
					NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
					Context:      ctx,
					AppendableV2: head,
					Queryable:    queryable,
					Metrics:      metrics,
				},
			})
			step = divisor(step, r.interval.Milliseconds())
		}
		for at := p.start; at <= end; at += step {
			for _, r := range batch {
				if (at-p.start)%r.interval.Milliseconds() != 0 {
					continue
				}
				started := time.Now()
				r.alone.Eval(ctx, time.UnixMilli(at))
				done.seconds[r.group.Name()] += time.Since(started).Seconds()
				if err := r.LastError(); err != nil {
					return nil, fmt.Errorf("%s: group %q, rule %q at %s: %w", r.group.File(), r.group.Name(), r.Name(), clock(at), err)
				}
				done.alerts = append(done.alerts, r.resolved(at)...)
			}
			progress.say("evaluated %d of %d rules", count, len(set.rules))
		}
		for _, r := range batch {
			for _, alert := range r.open {
				alert.End = end + p.step
				done.alerts = append(done.alerts, *alert)
			}
		}
		count += len(batch)
	}
	slices.SortFunc(done.alerts, func(a, b firing) int {
		if a.Start != b.Start {
			return int(a.Start - b.Start)
		}
		return strings.Compare(labels.FromMap(a.Labels).String(), labels.FromMap(b.Labels).String())
	})
	return done, nil
}

// resolved takes note of the alerts that fire, and returns those that no longer do.
func (r *rule) resolved(at int64) []firing {
	alerting, ok := r.Rule.(*rules.AlertingRule)
	if !ok || len(r.open) == 0 && alerting.ActiveAlertsCount() == 0 {
		return nil
	}
	alerting.ForEachActiveAlert(func(a *rules.Alert) {
		if a.State != rules.StateFiring {
			return
		}
		key := a.Labels.Hash()
		if r.open[key] == nil {
			r.open[key] = &firing{Alertname: r.Name(), Labels: a.Labels.Map(), State: a.State.String(), Start: at}
		}
		r.open[key].seen = at
	})
	var done []firing
	for key, alert := range r.open {
		if alert.seen != at {
			alert.End = at
			done = append(done, *alert)
			delete(r.open, key)
		}
	}
	return done
}

// offset returns the query_offset of a group, nil if it has none.
func offset(group *rules.Group) *time.Duration {
	if d := group.QueryOffset(); d != 0 {
		return &d
	}
	return nil
}

// divisor returns the greatest common one.
func divisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// lookahead answers a rule's instant queries, one step after another, from range queries over many steps:
// the engine evaluates each step alike, but selects series and decodes chunks once.
type lookahead struct {
	engine    *promql.Engine
	queryable storage.Queryable
	expr      string
	step      time.Duration
	window    int

	from, to time.Time // that the results below are for
	running  promql.Query
	matrix   promql.Matrix
	next     []int // in each series of the matrix
	failed   bool
}

func (l *lookahead) query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	if expr != l.expr || l.window == 1 { // A template's query is not the rule's.
		return rules.EngineQueryFunc(l.engine, l.queryable)(ctx, expr, at)
	}
	if l.running == nil || at.Before(l.from) || at.After(l.to) {
		if err := l.ask(ctx, at); err != nil {
			return nil, err
		}
	}
	if l.failed { // Some step of it did: find out which.
		return rules.EngineQueryFunc(l.engine, l.queryable)(ctx, expr, at)
	}
	ms := at.UnixMilli()
	var vector promql.Vector
	for i := range l.matrix {
		series, k := &l.matrix[i], l.next[i]
		for k < len(series.Floats) && series.Floats[k].T < ms {
			k++
		}
		if l.next[i] = k; k < len(series.Floats) && series.Floats[k].T == ms {
			vector = append(vector, promql.Sample{T: ms, F: series.Floats[k].F, Metric: series.Metric, DropName: series.DropName})
		}
	}
	return vector, nil
}

// ask runs the query of the window that starts at a time.
func (l *lookahead) ask(ctx context.Context, from time.Time) error {
	if l.running != nil {
		l.running.Close()
	}
	l.from, l.to = from, from.Add(time.Duration(l.window-1)*l.step)
	var err error
	if l.running, err = l.engine.NewRangeQuery(ctx, l.queryable, nil, l.expr, l.from, l.to, l.step); err != nil {
		return err
	}
	answer := l.running.Exec(ctx)
	l.failed = answer.Err != nil
	if l.failed {
		return nil
	}
	l.matrix, err = answer.Matrix()
	l.next = make([]int, len(l.matrix))
	return err
}

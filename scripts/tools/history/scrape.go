package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"go.yaml.in/yaml/v2"
)

const (
	// What every scrape takes, as nothing is really scraped.
	scrapeSeconds = 0.01
	// Samples of one commit: enough that its overhead vanishes, few enough that its buffers stay in cache.
	commitSamples = 50_000
)

var stale = math.Float64frombits(value.StaleNaN)

// overLimit is a target that exceeded its sample_limit.
type overLimit struct {
	Job      string `json:"job"`
	Instance string `json:"instance"`
	Limit    int    `json:"limit"`
	Samples  int    `json:"samples"` // the most at one scrape
	Scrapes  int    `json:"scrapes"` // that were refused
	First    int64  `json:"first"`   // ms
}

// scraper does what Prometheus' scrape loop does, target by target.
type scraper struct {
	head     *tsdb.Head
	period   period
	progress *progress

	appender storage.AppenderV2
	pending  int // samples since the last commit
	written  map[storage.SeriesRef]*written
	builder  *labels.Builder
	key      []byte
	spare    [][]float64

	target     *target
	targets    int
	dropped    int
	series     int
	overLimits []overLimit
}

// written is what the head holds of one series.
type written struct {
	last  int64 // time of the newest sample
	ends  int64 // time of a stale marker still to be written, 0 for none
	owner labels.Labels
}

// target is one target and, until the next one starts, everything it exposed.
type target struct {
	config *config.ScrapeConfig
	public *scrape.Target // nil if relabelling dropped it
	labels labels.Labels
	up     []float64 // nil: always 1

	exposed []float64 // samples at each scrape
	kept    []float64 // of them after relabelling
	order   []*series
	byKey   map[string]*series
}

type series struct {
	labels labels.Labels
	source labels.Labels // as exposed
	values []float64
}

func newScraper(head *tsdb.Head, p period, progress *progress) *scraper {
	return &scraper{
		head:       head,
		period:     p,
		progress:   progress,
		written:    map[storage.SeriesRef]*written{},
		builder:    labels.NewBuilder(labels.EmptyLabels()),
		overLimits: []overLimit{},
	}
}

func (s *scraper) frame(f frame, values []float64) error {
	if f.Target != nil {
		if err := s.store(); err != nil {
			return err
		}
		return s.start(f.Target, values)
	}
	if s.target == nil {
		return errors.New("a series before the first target")
	}
	return s.add(f.Series, values)
}

// start takes up a target; up is nil or holds 0, 1 or NaN for each scrape.
func (s *scraper) start(raw json.RawMessage, up []float64) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	var given map[string]string
	if err := json.Unmarshal(all["labels"], &given); err != nil {
		return fmt.Errorf("target: labels: %w", err)
	}
	for i, v := range up {
		if v != 0 && v != 1 && !math.IsNaN(v) {
			return fmt.Errorf("target %s: up is %v at %s, not 0, 1 or NaN", given[model.AddressLabel], v, clock(s.period.at(i)))
		}
	}
	delete(all, "labels")
	scrapeConfig, err := s.scrapeConfig(given[model.JobLabel], all)
	if err != nil {
		return fmt.Errorf("target %s: %w", given[model.AddressLabel], err)
	}
	discovered := model.LabelSet{}
	for name, v := range given {
		discovered[model.LabelName(name)] = model.LabelValue(v)
	}
	populated, err := scrape.PopulateLabels(s.builder, scrapeConfig, discovered, nil)
	if err != nil {
		return fmt.Errorf("target %s: %w", given[model.AddressLabel], err)
	}
	s.target = &target{config: scrapeConfig}
	if populated.IsEmpty() {
		s.dropped++
		return nil
	}
	public := scrape.NewTarget(populated, scrapeConfig, discovered, nil)
	s.targets++
	s.target = &target{
		config:  scrapeConfig,
		public:  public,
		labels:  public.Labels(s.builder),
		up:      slices.Clone(up),
		exposed: make([]float64, s.period.samples),
		kept:    make([]float64, s.period.samples),
		byKey:   map[string]*series{},
	}
	return nil
}

// scrapeConfig reads a target's keys as the scrape_config that they are.
func (s *scraper) scrapeConfig(job string, keys map[string]json.RawMessage) (*config.ScrapeConfig, error) {
	if job == "" {
		return nil, errors.New("no label job")
	}
	name, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	keys["job_name"] = name
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	var c config.ScrapeConfig
	if err := yaml.UnmarshalStrict(text, &c); err != nil {
		return nil, err
	}
	global := config.DefaultGlobalConfig
	global.ScrapeInterval = model.Duration(time.Duration(s.period.step) * time.Millisecond)
	return &c, c.Validate(global)
}

// normalise writes the bounds of buckets and quantiles as Prometheus' parsers do, so that 1 and 1.0 are
// the same (model/textparse, normalizeFloatsInLabelValues, which is not exported).
func normalise(exposed map[string]string) {
	for _, name := range []string{model.BucketLabel, model.QuantileLabel} {
		bound, err := strconv.ParseFloat(exposed[name], 64)
		if err != nil || math.IsInf(bound, 0) || math.IsNaN(bound) {
			continue
		}
		text := strconv.FormatFloat(bound, 'g', -1, 64)
		if !strings.ContainsAny(text, "e.") {
			text += ".0"
		}
		exposed[name] = text
	}
}

// add takes one series of the target.
func (s *scraper) add(exposed map[string]string, values []float64) error {
	t := s.target
	if t.public == nil {
		return nil
	}
	normalise(exposed)
	source := labels.FromMap(exposed)
	lset := mutateSampleLabels(s.builder, source, t)
	for i, v := range values {
		if !math.IsNaN(v) {
			t.exposed[i]++
		}
	}
	if lset.IsEmpty() {
		return nil // metric_relabel_configs dropped it.
	}
	if !lset.Has(model.MetricNameLabel) || !lset.IsValid(model.UTF8Validation) {
		return fmt.Errorf("%s exposes %s, which is no valid series after relabelling: %s", t, notation(source), notation(lset))
	}
	s.key = lset.Bytes(s.key[:0])
	known, ok := t.byKey[string(s.key)]
	if !ok {
		known = &series{labels: lset, source: source, values: s.take()}
		copy(known.values, values)
		t.byKey[string(s.key)] = known
		t.order = append(t.order, known)
		for i, v := range values {
			if !math.IsNaN(v) {
				t.kept[i]++
			}
		}
		return nil
	}
	// One that starts when the other has ended, as of a container after its restart, goes on with it.
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		if !math.IsNaN(known.values[i]) {
			return fmt.Errorf("%s exposes %s twice at %s, after relabelling: as %s and as %s",
				t, notation(lset), clock(s.period.at(i)), notation(known.source), notation(source))
		}
		known.values[i] = v
		t.kept[i]++
	}
	return nil
}

// take returns memory for one value a scrape, of a target done with if there is any.
func (s *scraper) take() []float64 {
	if n := len(s.spare); n > 0 {
		values := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return values
	}
	return make([]float64, s.period.samples)
}

// store writes all that the target exposed, and the scrape loop's own series.
func (s *scraper) store() error {
	t := s.target
	if t == nil || t.public == nil {
		return nil
	}
	var (
		nan      = math.NaN()
		health   = s.take()
		duration = s.take()
		scraped  = s.take()
		kept     = s.take()
		added    = s.take()
		limit    = float64(t.config.SampleLimit)
		over     = overLimit{Job: t.labels.Get(model.JobLabel), Instance: t.labels.Get(model.InstanceLabel), Limit: int(limit)}
	)
	for i := range health {
		health[i], duration[i], scraped[i], kept[i], added[i] = 1, scrapeSeconds, t.exposed[i], t.kept[i], 0
		switch {
		case t.up != nil && math.IsNaN(t.up[i]):
			health[i], duration[i], scraped[i], kept[i], added[i] = nan, nan, nan, nan, nan
		case t.up != nil && t.up[i] == 0:
			health[i], scraped[i], kept[i] = 0, 0, 0
		case limit > 0 && t.kept[i] > limit:
			health[i] = 0
			if over.Scrapes == 0 {
				over.First = s.period.at(i)
			}
			over.Scrapes++
			over.Samples = max(over.Samples, int(t.kept[i]))
		}
	}
	if over.Scrapes > 0 {
		s.overLimits = append(s.overLimits, over)
	}
	for _, series := range t.order {
		cached := false // A failed scrape does not make the scrape loop forget a series.
		for i, v := range series.values {
			switch {
			case math.IsNaN(health[i]):
				series.values[i], cached = nan, false
			case health[i] == 0:
				series.values[i] = nan
			case math.IsNaN(v):
				cached = false
			case !cached:
				added[i]++
				cached = true
			}
		}
		if err := s.append(series.labels, series.values); err != nil {
			return err
		}
	}
	for _, own := range []struct {
		name   string
		values []float64
	}{
		{"up", health},
		{"scrape_duration_seconds", duration},
		{"scrape_samples_scraped", scraped},
		{"scrape_samples_post_metric_relabeling", kept},
		{"scrape_series_added", added},
	} {
		s.builder.Reset(t.labels)
		if err := s.append(s.builder.Set(model.MetricNameLabel, own.name).Labels(), own.values); err != nil {
			return err
		}
	}
	s.progress.say("stored %d series of %d targets", s.series, s.targets)
	s.target = nil
	return nil
}

// append writes one series, a stale marker wherever it ends, and takes the memory of its values.
func (s *scraper) append(lset labels.Labels, values []float64) error {
	defer func() { s.spare = append(s.spare, values) }()
	first := slices.IndexFunc(values, func(v float64) bool { return !math.IsNaN(v) })
	if first < 0 {
		return nil
	}
	s.series++
	s.open()
	ref, err := s.owned(lset, s.period.at(first))
	if err != nil {
		return err
	}
	state := &written{owner: s.target.labels}
	put := func(at int64, v float64) error {
		s.pending++
		ref, err = s.appender.Append(ref, lset, 0, at, v, nil, nil, storage.AOptions{})
		return err
	}
	present := false
	for i := first; i < len(values); i++ {
		at, v := s.period.at(i), values[i]
		if math.IsNaN(v) {
			if present {
				state.ends, present = at, false
			}
			continue
		}
		if state.ends != 0 {
			if err := put(state.ends, stale); err != nil {
				return err
			}
			state.ends = 0
		}
		if err := put(at, v); err != nil {
			return err
		}
		state.last, present = at, true
	}
	s.written[ref] = state
	if s.pending < commitSamples {
		return nil
	}
	return s.commit()
}

// owned returns the reference of a series that another target wrote until before a time, 0 if none did.
func (s *scraper) owned(lset labels.Labels, from int64) (storage.SeriesRef, error) {
	ref, _ := s.appender.(storage.GetRef).GetRef(lset, lset.Hash())
	before := s.written[ref]
	if before == nil {
		return 0, nil
	}
	if from <= before.last {
		return 0, fmt.Errorf("%s exposes %s at %s, but so does target %s until %s (targets that share a series come in order of time)",
			s.target, notation(lset), clock(from), before.owner, clock(before.last))
	}
	if before.ends == 0 || before.ends >= from {
		return ref, nil
	}
	_, err := s.appender.Append(ref, lset, 0, before.ends, stale, nil, nil, storage.AOptions{})
	return ref, err
}

// finish stores the last target and the stale markers of all series that ended for good.
func (s *scraper) finish() error {
	if err := s.store(); err != nil {
		return err
	}
	s.open()
	for ref, w := range s.written {
		if w.ends == 0 {
			continue
		}
		if _, err := s.appender.Append(ref, labels.EmptyLabels(), 0, w.ends, stale, nil, nil, storage.AOptions{}); err != nil {
			return err
		}
	}
	return s.commit()
}

func (s *scraper) open() {
	if s.appender == nil {
		s.appender = s.head.AppenderV2(context.Background())
	}
}

func (s *scraper) commit() error {
	err := s.appender.Commit()
	s.appender, s.pending = nil, 0
	return err
}

// notation returns a series as a person writes it: name{label="value"}.
func notation(lset labels.Labels) string {
	metric := model.Metric{}
	lset.Range(func(l labels.Label) { metric[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return metric.String()
}

func (t *target) String() string { return "target " + t.labels.String() }

// mutateSampleLabels does what Prometheus' unexported function of that name (scrape/scrape.go) does.
func mutateSampleLabels(builder *labels.Builder, exposed labels.Labels, t *target) labels.Labels {
	builder.Reset(exposed)
	var conflicts []labels.Label
	t.labels.Range(func(l labels.Label) {
		if t.config.HonorLabels {
			// An empty label counts: with it a series refuses the target's.
			if !exposed.Has(l.Name) {
				builder.Set(l.Name, l.Value)
			}
			return
		}
		if v := exposed.Get(l.Name); v != "" {
			conflicts = append(conflicts, labels.Label{Name: l.Name, Value: v})
		}
		builder.Set(l.Name, l.Value)
	})
	slices.SortStableFunc(conflicts, func(a, b labels.Label) int { return len(a.Name) - len(b.Name) })
	for _, l := range conflicts {
		name := model.ExportedLabelPrefix + l.Name
		for builder.Get(name) != "" {
			name = model.ExportedLabelPrefix + name
		}
		builder.Set(name, l.Value)
	}
	if !relabel.ProcessBuilder(builder, t.config.MetricRelabelConfigs...) {
		return labels.EmptyLabels()
	}
	return builder.Labels()
}

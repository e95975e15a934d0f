package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang/snappy"
	"github.com/grafana/alloy/internal/component/discovery/relabel"
	"github.com/grafana/alloy/internal/component/loki/process"
	"github.com/grafana/alloy/internal/component/loki/process/stages"
	"github.com/grafana/loki/pkg/push"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/promql/parser"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testCase is what one source reads: a container's lines as the runtime writes them, or events as
// Kubernetes has them. Each case has an Alloy of its own; they run side by side.
type testCase struct {
	ID     string            `json:"id"`
	File   string            `json:"file"`
	Target map[string]string `json:"target"` // as discovery finds it; null for events
	Lines  []line            `json:"lines"`
}

type line struct {
	Timestamp time.Time `json:"timestamp"`
	Line      string    `json:"line"`
	After     float64   `json:"after"` // seconds of silence before it
}

// result is what left Alloy.
type result struct {
	ID      string            `json:"id"`
	Target  map[string]string `json:"target"`  // after discovery.relabel
	Entries []entry           `json:"entries"` // as Loki receives them, by time
	Metrics string            `json:"metrics"` // as Alloy exposes them
}

type entry struct {
	Labels             map[string]string `json:"labels"`
	StructuredMetadata map[string]string `json:"structured_metadata"`
	Timestamp          time.Time         `json:"timestamp"`
	Line               string            `json:"line"`
}

// Each Alloy waits most of the time; more would need gigabytes.
const sideBySide = 80

func pipeline(cases []testCase) ([]result, error) {
	api, loki := newCluster(), newLoki()
	results, faults := make([]result, len(cases)), make([]error, len(cases))
	places, busy := make(chan struct{}, sideBySide), make(chan struct{}, 2)
	var all sync.WaitGroup
	for i, c := range cases {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			results[i], faults[i] = run(c, fmt.Sprint(i), api, loki, busy)
		})
	}
	all.Wait()
	for i, err := range faults {
		if err != nil {
			return nil, fmt.Errorf("%w (case %s)", err, cases[i].ID)
		}
	}
	return results, nil
}

func run(c testCase, set string, api *kubernetes, loki *receiver, busy chan struct{}) (result, error) {
	r := result{ID: c.ID, Entries: []entry{}}
	folder, err := os.MkdirTemp("", "alloy")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(folder)
	logs := filepath.Join(folder, "pods")
	if c.Target != nil {
		api.add(set, pod(c.Target))
		logs = filepath.Join(folder, "pods", folderOf(pod(c.Target)))
	}
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return r, err
	}
	file, err := os.Create(filepath.Join(logs, "0.log"))
	if err != nil {
		return r, err
	}
	defer file.Close()
	times, err := announce(c, set, api)
	if err != nil {
		return r, err
	}
	busy <- struct{}{}
	l, err := load(c.File, folder, surroundings{
		api: api.URL + "/" + set, loki: loki.URL + "/" + set, logs: filepath.Join(folder, "pods"),
	}, io.Discard)
	<-busy
	if err != nil {
		return r, err
	}
	defer l.start()()
	settle, err := l.waits()
	if err != nil {
		return r, err
	}
	if err := write(c, file, l, busy); err != nil {
		return r, err
	}
	r.Target, err = l.target(c.Target != nil)
	if err != nil {
		return r, err
	}
	if c.Target == nil {
		loki.await(set, len(c.Lines))
	}
	loki.quiet(set, settle)
	r.Entries = loki.received(set, times)
	r.Metrics, err = l.metrics()
	return r, err
}

// announce gives the API server a case's events, and returns the times that they got with those that they
// have: Alloy passes over what happened before it started.
func announce(c testCase, set string, api *kubernetes) (map[int64]time.Time, error) {
	times := map[int64]time.Time{}
	if c.Target != nil {
		return times, nil
	}
	start := time.Now().Add(time.Hour).Truncate(time.Second)
	for number, one := range c.Lines {
		var event corev1.Event
		if err := json.Unmarshal([]byte(one.Line), &event); err != nil {
			return nil, err
		}
		happens := start.Add(time.Duration(number) * time.Millisecond)
		times[happens.UnixNano()] = one.Timestamp
		event.EventTime = metav1.NewMicroTime(happens)
		event.Name, event.Namespace = fmt.Sprint("event-", number), "default"
		api.happen(set, event)
	}
	return times, nil
}

// write gives Alloy a container's lines, and waits until it has read them. Few do so at a time: one that
// had to wait for a processor would take lines for late that came together.
func write(c testCase, file io.Writer, l *loaded, busy chan struct{}) error {
	if c.Target == nil {
		return nil
	}
	busy <- struct{}{}
	defer func() { <-busy }()
	for number, one := range c.Lines {
		if one.After > 0 {
			if err := l.wait(number); err != nil {
				return err
			}
			<-busy
			time.Sleep(time.Duration(one.After * float64(time.Second)))
			busy <- struct{}{}
		}
		if _, err := fmt.Fprintln(file, one.Line); err != nil {
			return err
		}
	}
	return l.wait(len(c.Lines))
}

// wait waits until as many lines were read.
func (l *loaded) wait(lines int) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		families, err := l.registry.Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			if f.GetName() == "loki_source_file_read_lines_total" && len(f.Metric) > 0 &&
				int(f.Metric[0].Counter.GetValue()) >= lines {
				return nil
			}
		}
		if lines == 0 {
			if target, err := l.target(true); err != nil || target != nil {
				return err
			}
		}
	}
	return fmt.Errorf("Alloy has not read %d lines in two minutes", lines)
}

// waits returns how long an entry can stay in the stages and in the batch, with a margin.
func (l *loaded) waits() (time.Duration, error) {
	components, err := l.all()
	total := 2500 * time.Millisecond
	for _, c := range components {
		if args, ok := c.Arguments.(process.Arguments); ok {
			total += multilines(args.Stages)
		}
	}
	return total, err
}

func multilines(list []stages.StageConfig) (total time.Duration) {
	for _, s := range list {
		if s.MultilineConfig != nil {
			total += s.MultilineConfig.MaxWaitTime
		}
		if s.MatchConfig != nil {
			total += multilines(s.MatchConfig.Stages)
		}
	}
	return total
}

// target returns the target that discovery.relabel passes on.
func (l *loaded) target(wanted bool) (map[string]string, error) {
	if !wanted {
		return nil, nil
	}
	components, err := l.all()
	if err != nil {
		return nil, err
	}
	for _, c := range components {
		if e, ok := c.Exports.(relabel.Exports); ok && len(e.Output) > 0 {
			return e.Output[0].AsMap(), nil
		}
	}
	return nil, nil
}

func (l *loaded) metrics() (string, error) {
	families, err := l.registry.Gather()
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

// receiver stands for Loki: it keeps what is pushed, by the path.
type receiver struct {
	*httptest.Server
	mutex   sync.Mutex
	entries map[string][]entry
	last    map[string]time.Time
}

func newLoki() *receiver {
	r := &receiver{entries: map[string][]entry{}, last: map[string]time.Time{}}
	r.Server = httptest.NewServer(r)
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err == nil {
		body, err = snappy.Decode(nil, body)
	}
	var pushed push.PushRequest
	if err == nil {
		err = pushed.Unmarshal(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	set := strings.Trim(request.URL.Path, "/")
	r.last[set] = time.Now()
	for _, stream := range pushed.Streams {
		labels, err := parser.NewParser(parser.Options{}).ParseMetric(stream.Labels)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, e := range stream.Entries {
			metadata := map[string]string{}
			for _, m := range e.StructuredMetadata {
				metadata[m.Name] = m.Value
			}
			r.entries[set] = append(r.entries[set], entry{labels.Map(), metadata, e.Timestamp, e.Line})
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// await waits until as many entries were pushed, for a minute at most.
func (r *receiver) await(set string, entries int) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r.mutex.Lock()
		found := len(r.entries[set])
		r.mutex.Unlock()
		if found >= entries {
			return
		}
	}
}

// quiet waits until nothing was pushed for a time.
func (r *receiver) quiet(set string, wait time.Duration) {
	start := time.Now()
	for {
		r.mutex.Lock()
		last := r.last[set]
		r.mutex.Unlock()
		if last.Before(start) {
			last = start
		}
		left := time.Until(last.Add(wait))
		if left <= 0 {
			return
		}
		time.Sleep(left)
	}
}

func (r *receiver) received(set string, times map[int64]time.Time) []entry {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	found := append([]entry{}, r.entries[set]...)
	for i := range found {
		if original, ok := times[found[i].Timestamp.UnixNano()]; ok {
			found[i].Timestamp = original
		}
	}
	slices.SortStableFunc(found, func(a, b entry) int { return a.Timestamp.Compare(b.Timestamp) })
	return found
}

package main

import (
	"bytes"
	"cmp"
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

// How many cases do something at the same time. Each Alloy waits most of the time, and holds six megabytes;
// loading takes a processor.
const (
	sideBySide     = 200
	loadingAtATime = 2
	readingAtATime = 8
	attempts       = 3
)

// round is some cases that load, and then read: one that had to wait for a processor while it reads would
// take lines for late that came together.
type round struct {
	api              *kubernetes
	loki             *receiver
	loading, reading chan struct{}
	loaded           sync.WaitGroup
}

// pipeline runs cases, and those again during which this process had to wait for a processor.
func pipeline(cases []testCase) ([]result, error) {
	api, loki := newCluster(), newLoki()
	go waited.watch()
	results := make([]result, len(cases))
	left := longestFirst(cases)
	for number := range attempts {
		late := []int{}
		for some := range slices.Chunk(left, sideBySide) {
			r := &round{api: api, loki: loki}
			r.loading, r.reading = make(chan struct{}, loadingAtATime), make(chan struct{}, readingAtATime)
			found, err := r.run(cases, some, results, number)
			if err != nil {
				return nil, err
			}
			late = append(late, found...)
		}
		left = late
	}
	return results, nil
}

// run runs cases by their numbers, and returns those that had to wait.
func (r *round) run(cases []testCase, numbers []int, results []result, attempt int) (late []int, err error) {
	punctual, faults := make([]bool, len(cases)), make([]error, len(cases))
	var all sync.WaitGroup
	r.loaded.Add(len(numbers))
	for _, i := range numbers {
		all.Go(func() {
			results[i], punctual[i], faults[i] = r.one(cases[i], fmt.Sprint(i, "-", attempt))
		})
	}
	all.Wait()
	for _, i := range numbers {
		if faults[i] != nil {
			return nil, fmt.Errorf("%w (case %s)", faults[i], cases[i].ID)
		}
		if !punctual[i] {
			late = append(late, i)
		}
	}
	return late, nil
}

// longestFirst returns the numbers of the cases, those with the longest silences in front.
func longestFirst(cases []testCase) []int {
	silence := make([]float64, len(cases))
	numbers := make([]int, len(cases))
	for i, c := range cases {
		numbers[i] = i
		for _, one := range c.Lines {
			silence[i] += one.After
		}
	}
	slices.SortStableFunc(numbers, func(a, b int) int { return cmp.Compare(silence[b], silence[a]) })
	return numbers
}

// one runs a case, and says whether it never had to wait.
func (r *round) one(c testCase, set string) (found result, punctual bool, err error) {
	found = result{ID: c.ID, Entries: []entry{}}
	folder, err := os.MkdirTemp("", "alloy")
	if err != nil {
		r.loaded.Done()
		return found, false, err
	}
	defer os.RemoveAll(folder)
	r.loading <- struct{}{}
	l, file, times, err := r.load(c, set, folder)
	<-r.loading
	if err != nil {
		r.loaded.Done()
		return found, false, err
	}
	defer file.Close()
	defer l.start()()
	r.loaded.Done()
	r.loaded.Wait()
	started := time.Now()
	settle, err := l.waits()
	if err != nil {
		return found, false, err
	}
	if err := write(c, file, l, r.reading); err != nil {
		return found, false, err
	}
	found.Target, err = l.target(c.Target != nil)
	if err != nil {
		return found, false, err
	}
	r.loki.settled(set, c, settle)
	found.Entries = r.loki.received(set, times)
	found.Metrics, err = l.metrics()
	return found, !waited.since(started), err
}

// load loads a case's configuration, and returns the file that the container's lines go to, and the times of
// events.
func (r *round) load(c testCase, set, folder string) (*loaded, *os.File, map[int64]time.Time, error) {
	logs := filepath.Join(folder, "pods")
	if c.Target != nil {
		r.api.add(set, pod(c.Target))
		logs = filepath.Join(logs, folderOf(pod(c.Target)))
	}
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, nil, nil, err
	}
	file, err := os.Create(filepath.Join(logs, "0.log"))
	if err != nil {
		return nil, nil, nil, err
	}
	times, err := announce(c, set, r.api)
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := load(c.File, folder, surroundings{
		api: r.api.URL + "/" + set, loki: r.loki.URL + "/" + set, logs: filepath.Join(folder, "pods"),
	}, io.Discard)
	return l, file, times, err
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

// write gives Alloy a container's lines, those between two silences at once, and waits until it has read them.
func write(c testCase, file io.Writer, l *loaded, reading chan struct{}) error {
	if c.Target == nil {
		return nil
	}
	for begin := 0; begin < len(c.Lines) || begin == 0; {
		end, text := begin, strings.Builder{}
		for ; end < len(c.Lines) && (end == begin || c.Lines[end].After == 0); end++ {
			fmt.Fprintln(&text, c.Lines[end].Line)
		}
		if end > begin {
			time.Sleep(time.Duration(c.Lines[begin].After * float64(time.Second)))
		}
		reading <- struct{}{}
		_, err := io.WriteString(file, text.String())
		if err == nil {
			err = l.wait(end)
		}
		<-reading
		if err != nil || end == begin {
			return err
		}
		begin = end
	}
	return nil
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

// settled waits until everything has arrived, or, as what Alloy drops never does, until nothing was pushed
// for a time.
func (r *receiver) settled(set string, c testCase, wait time.Duration) {
	if c.Target == nil {
		// Alloy asks for events when it likes.
		wait = max(wait, 20*time.Second)
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if late := waited.latest(); late.After(start) {
			start = late
		}
		r.mutex.Lock()
		last, arrived := r.last[set], c.arrived(r.entries[set])
		r.mutex.Unlock()
		if last.Before(start) {
			last = start
		}
		if arrived || time.Since(last) > wait {
			return
		}
	}
}

// arrived says whether every line of a container, or every event, is in an entry. A line that the runtime has
// split ends with its last part.
func (c testCase) arrived(entries []entry) bool {
	if c.Target == nil {
		return len(entries) >= len(c.Lines)
	}
	written, found := 0, 0
	for number, one := range c.Lines {
		if fields := strings.SplitN(one.Line, " ", 4); len(fields) < 3 || fields[2] != "P" || number == len(c.Lines)-1 {
			written++
		}
	}
	for _, e := range entries {
		found += 1 + strings.Count(e.Line, "\n")
	}
	return found >= written
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

// Command history makes the past that a Prometheus server would have recorded. It reads what simulated
// targets exposed at each scrape from standard input, does to it what Prometheus' scrape loop does,
// evaluates rules over the whole period, and writes one TSDB block that a real server opens.
//
//	history --output DIR [--rules FILE]... [--interval 30s] [--external-label NAME=VALUE]... < frames
//
// A frame is a line of JSON, and where it says so, little-endian float64s after it:
//
//	{"start": ms, "step": ms, "samples": n}   first: when the scrapes were
//	{"target": {"labels": {...}, ...}}        a target; all other keys are those of a scrape_config
//	{"target": {...}, "up": n} + n values     1: it answered, 0: it did not, NaN: there was no such target
//	{"series": {"__name__": ...}, "samples": n} + n values   of the target above; NaN: not exposed then
//
// Labels, relabelling, rules, queries and storage are Prometheus' own packages. It never opens a connection.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// The heap mostly grows: collecting at the default of 100 % takes a sixth more time, and half the memory.
const gcPercent = 400

// result is what standard output gets. Series and samples are all that the block holds.
type result struct {
	Targets           int                `json:"targets"`
	DroppedTargets    int                `json:"dropped_targets"`
	Series            uint64             `json:"series"`
	Samples           uint64             `json:"samples"`
	RecordedSeries    uint64             `json:"recorded_series"`
	Rules             int                `json:"rules"`
	Seconds           float64            `json:"seconds"`
	EvaluationSeconds map[string]float64 `json:"evaluation_seconds"`
	Alerts            []firing           `json:"alerts"`
	OverLimit         []overLimit        `json:"over_limit"`
}

// list collects the values of a flag that is given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func main() {
	debug.SetGCPercent(gcPercent)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var files, external list
	flags := flag.NewFlagSet("history", flag.ContinueOnError)
	output := flags.String("output", "", "empty or new folder for the block")
	interval := flags.String("interval", "30s", "how often groups without an interval of their own are evaluated")
	flags.Var(&files, "rules", "rule file in Prometheus' format; may be repeated")
	flags.Var(&external, "external-label", "NAME=VALUE that the rules' templates see; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	every, err := model.ParseDuration(*interval)
	if err != nil {
		return fmt.Errorf("--interval: %w", err)
	}
	externalLabels := map[string]string{}
	for _, pair := range external {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("--external-label %q is not NAME=VALUE", pair)
		}
		externalLabels[name] = value
	}
	switch entries, err := os.ReadDir(*output); {
	case *output == "" || flags.NArg() > 0:
		return errors.New("usage: history --output DIR [--rules FILE]... [--interval 30s] [--external-label NAME=VALUE]... < frames")
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: blocks of two periods must not mix", *output)
	}

	started := time.Now()
	// Rules are loaded first: a fault in them shows before minutes are spent on the scrapes.
	ruleSet, err := loadRules(files, time.Duration(every), labels.FromMap(externalLabels))
	if err != nil {
		return err
	}
	stream, err := newStream(bufio.NewReaderSize(os.Stdin, 1<<20))
	if err != nil {
		return err
	}
	head, remove, err := newHead(stream.period)
	if err != nil {
		return err
	}
	defer remove()

	progress := newProgress()
	scraped := newScraper(head, stream.period, progress)
	if err := stream.each(scraped.frame); err != nil {
		return err
	}
	if err := scraped.finish(); err != nil {
		return err
	}
	exposed := head.NumSeries()
	if exposed == 0 {
		return errors.New("standard input has no target that is scraped")
	}
	evaluation, err := ruleSet.evaluate(head, stream.period, progress)
	if err != nil {
		return err
	}
	stats, err := writeBlock(head, *output)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result{
		Targets:           scraped.targets,
		DroppedTargets:    scraped.dropped,
		Series:            stats.NumSeries,
		Samples:           stats.NumSamples,
		RecordedSeries:    head.NumSeries() - exposed,
		Rules:             len(ruleSet.rules),
		Seconds:           time.Since(started).Seconds(),
		EvaluationSeconds: evaluation.seconds,
		Alerts:            evaluation.alerts,
		OverLimit:         scraped.overLimits,
	})
}

// newHead returns a head that takes series one after another, each over the whole period, and what
// removes its folder. It is not closed at the end, as that would write its chunks a second time.
func newHead(p period) (*tsdb.Head, func(), error) {
	folder, err := os.MkdirTemp("", "history")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { os.RemoveAll(folder) }
	options := tsdb.DefaultHeadOptions()
	options.ChunkDirRoot = folder
	// A head refuses samples more than half its range older than its newest.
	options.ChunkRange = 4 * p.step * int64(p.samples)
	options.IsolationDisabled = true
	head, err := tsdb.NewHead(nil, promslog.NewNopLogger(), nil, nil, options, nil)
	if err == nil {
		err = head.Init(math.MinInt64) // A group's query_offset may reach back before the first scrape.
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return head, remove, nil
}

// writeBlock writes all of the head as one block.
func writeBlock(head *tsdb.Head, folder string) (tsdb.BlockStats, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return tsdb.BlockStats{}, err
	}
	// Blocks are half-open intervals.
	mint, maxt := head.MinTime(), head.MaxTime()+1
	logger := promslog.NewNopLogger()
	compactor, err := tsdb.NewLeveledCompactor(context.Background(), nil, logger, []int64{maxt - mint}, chunkenc.NewPool(), nil)
	if err != nil {
		return tsdb.BlockStats{}, err
	}
	ids, err := compactor.Write(folder, head, mint, maxt, nil)
	if err != nil {
		return tsdb.BlockStats{}, err
	}
	block, err := tsdb.OpenBlock(logger, filepath.Join(folder, ids[0].String()), nil, nil)
	if err != nil {
		return tsdb.BlockStats{}, err
	}
	return block.Meta().Stats, block.Close()
}

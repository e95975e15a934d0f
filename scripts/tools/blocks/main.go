// Command blocks copies a TSDB into blocks as a Prometheus with a Thanos sidecar keeps them, and
// changes on the way what a proof needs to be different.
//
//	blocks --output DIR [--duration 2h] [--match SELECTOR]... [--label NAME=VALUE]... [--without FROM/TO]
//	       [--shift 15s] [--copies N] [--days N] TSDB
//
// TSDB is a folder of blocks; FROM and TO are seconds since the epoch. It prints how many blocks,
// series and samples it wrote; a series counts once for each block. It never opens a connection.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// copyLabel tells the copies of a series apart; the first has none, so that queries find it as before.
const copyLabel = "copy"

const day = 24 * time.Hour

// list collects the values of a flag that is given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// options is what the arguments say, times in milliseconds.
type options struct {
	source, output string
	duration       int64
	selectors      [][]*labels.Matcher
	labels         map[string]string
	gap            period
	shift          int64
	copies, days   int
}

// period is half-open, as a block is.
type period struct{ from, to int64 }

func (p period) overlap(other period) period {
	return period{max(p.from, other.from), min(p.to, other.to)}
}

func (p period) empty() bool { return p.from >= p.to }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(o.output)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: blocks of two copies must not mix", o.output)
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	db, err := tsdb.OpenDBReadOnly(o.source, "", nil)
	if err != nil {
		return err
	}
	defer db.Close()
	sources, err := db.Blocks()
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("%s has no block", o.source)
	}
	stats, err := o.copy(context.Background(), sources)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(stats)
}

func parse(args []string) (options, error) {
	var selectors, added list
	flags := flag.NewFlagSet("blocks", flag.ContinueOnError)
	o := options{labels: map[string]string{}}
	flags.StringVar(&o.output, "output", "", "empty or new folder for the blocks")
	duration := flags.String("duration", "2h", "of a block; each begins at a multiple of it")
	flags.Var(&selectors, "match", "series to copy, by default all; may be repeated")
	flags.Var(&added, "label", "NAME=VALUE that each series gets; may be repeated")
	gap := flags.String("without", "", "FROM/TO without samples, in seconds since the epoch")
	shift := flags.Duration("shift", 0, "by which each sample is later")
	flags.IntVar(&o.copies, "copies", 1, "how often each series is written, but the first with a label "+copyLabel)
	flags.IntVar(&o.days, "days", 1, "how many days: the source's last one, and copies of it before")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.output == "" || flags.NArg() != 1 || o.copies < 1 || o.days < 1 {
		return o, errors.New("usage: blocks --output DIR [--duration 2h] [--match SELECTOR]... [--label NAME=VALUE]... [--without FROM/TO] [--shift 15s] [--copies N] [--days N] TSDB")
	}
	o.source, o.shift = flags.Arg(0), shift.Milliseconds()
	length, err := model.ParseDuration(*duration)
	if err != nil || length == 0 {
		return o, fmt.Errorf("--duration %q is no duration above zero", *duration)
	}
	o.duration = time.Duration(length).Milliseconds()
	for _, pair := range added {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return o, fmt.Errorf("--label %q is not NAME=VALUE", pair)
		}
		o.labels[name] = value
	}
	if o.gap, err = parsePeriod(*gap); err != nil {
		return o, fmt.Errorf("--without: %w", err)
	}
	for _, text := range selectors {
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(text)
		if err != nil {
			return o, fmt.Errorf("--match: %w", err)
		}
		o.selectors = append(o.selectors, matchers)
	}
	if len(o.selectors) == 0 {
		o.selectors = [][]*labels.Matcher{{labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+")}}
	}
	return o, nil
}

func parsePeriod(text string) (period, error) {
	if text == "" {
		return period{}, nil
	}
	first, last, ok := strings.Cut(text, "/")
	from, firstErr := strconv.ParseFloat(first, 64)
	to, lastErr := strconv.ParseFloat(last, 64)
	if !ok || firstErr != nil || lastErr != nil || from >= to {
		return period{}, fmt.Errorf("%q is not FROM/TO in seconds", text)
	}
	return period{int64(from * 1000), int64(to * 1000)}, nil
}

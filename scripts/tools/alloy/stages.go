package main

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/grafana/alloy/internal/component/common/loki"
	"github.com/grafana/alloy/internal/component/loki/process"
	"github.com/grafana/alloy/internal/component/loki/process/stages"
	"github.com/grafana/alloy/internal/featuregate"
	"github.com/grafana/alloy/internal/runtime/logging"
	"github.com/grafana/loki/pkg/push"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// stagesOf returns the stages of the first loki.process with this label.
func stagesOf(file, label string) ([]stages.StageConfig, error) {
	components, err := inspect(file, io.Discard)
	if err != nil {
		return nil, err
	}
	for _, c := range components {
		if args, ok := c.Arguments.(process.Arguments); ok && strings.HasSuffix(c.ID.LocalID, "."+label) {
			return args.Stages, nil
		}
	}
	return nil, fmt.Errorf("%s has no loki.process %q", file, label)
}

// through passes lines, one after another, and returns what each became; none where it was dropped.
func through(list []stages.StageConfig, lines []string) ([][]string, error) {
	p, err := stages.NewPipeline(logging.NewSlogNop(), list, prometheus.NewRegistry(), featuregate.StabilityGenerallyAvailable)
	if err != nil {
		return nil, err
	}
	in := make(chan stages.Entry)
	out := p.Run(in)
	go func() {
		defer close(in)
		for number, text := range lines {
			in <- stages.Entry{Extracted: map[string]any{}, Entry: loki.NewEntry(
				model.LabelSet{"app": "a", "namespace": "default", "container": "c"},
				push.Entry{Timestamp: time.Unix(int64(number), 0), Line: text},
			)}
		}
	}()
	became := make([][]string, len(lines))
	for e := range out {
		// stage.cri gives another time, and with it takes the number of the line away.
		if number := e.Timestamp.Unix(); number < int64(len(lines)) {
			became[number] = append(became[number], e.Line)
		}
	}
	return became, nil
}

func passed(file, label string, lines []string) ([][]string, error) {
	list, err := stagesOf(file, label)
	if err != nil {
		return nil, err
	}
	return through(list, lines)
}

// cost is what one stage takes, or all of them together.
type cost struct {
	Stage  string  `json:"stage"`
	Micros float64 `json:"micros"` // a line
}

func bench(file, label string, lines []string) ([]cost, error) {
	list, err := stagesOf(file, label)
	if err != nil {
		return nil, err
	}
	costs := []cost{}
	for i := range len(list) + 1 {
		part, name := list, "all"
		if i < len(list) {
			part, name = list[i:i+1], fmt.Sprint(i)
		}
		micros, err := measure(part, lines)
		if err != nil {
			return nil, err
		}
		costs = append(costs, cost{name, micros})
	}
	return costs, nil
}

// measure returns the least processor time of several rounds, in microseconds a line.
func measure(list []stages.StageConfig, lines []string) (float64, error) {
	many := []string{}
	for len(many) < 5000 {
		many = append(many, lines...)
	}
	least := time.Duration(0)
	for range 5 {
		started := processor()
		if _, err := through(list, many); err != nil {
			return 0, err
		}
		if took := processor() - started; least == 0 || took < least {
			least = took
		}
	}
	return float64(least.Nanoseconds()) / float64(len(many)) / 1000, nil
}

// processor returns the processor time that this process has used.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

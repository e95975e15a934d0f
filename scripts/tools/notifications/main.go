// Command notifications says whom Alertmanager would have notified of a period's alerts, and when. It runs
// Alertmanager's own code on a clock that jumps to the next timer, so that a day takes seconds.
//
//	notifications < input.json
//
//	{"config": "alertmanager.yaml",          its receivers' files need not exist
//	 "start": ms, "end": ms,                 of the period
//	 "interval": ms,                         at which Prometheus evaluates its rules
//	 "alerts": [{"labels": {}, "annotations": {}, "start": ms, "end": ms}]}
//
// An alert fires from its start until just before its end. Integrations are recorded where they would have
// been called, so no template is rendered and no connection is opened.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/config"
)

type input struct {
	Config   string  `json:"config"`
	Start    int64   `json:"start"`
	End      int64   `json:"end"`
	Interval int64   `json:"interval"`
	Alerts   []fired `json:"alerts"`
}

// fired is an alert from when it fired until it was resolved.
type fired struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Start       int64             `json:"start"`
	End         int64             `json:"end"`
}

// result is what standard output gets, in order of time.
type result struct {
	Notifications []notification `json:"notifications"`
	Suppressed    []suppressed   `json:"suppressed"`
	Seconds       float64        `json:"seconds"`
}

// notification is one call of an integration.
type notification struct {
	Time        int64             `json:"time"`
	Receiver    string            `json:"receiver"`
	Integration string            `json:"integration"`
	Status      string            `json:"status"`
	Reason      string            `json:"reason"`
	GroupLabels map[string]string `json:"group_labels"`
	Alerts      []notified        `json:"alerts"`
}

type notified struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Status      string            `json:"status"`
}

// suppressed is an alert of which nobody was notified, and the labels of those that inhibited it: none where
// its receiver has no integration, or where it was resolved before its group was sent.
type suppressed struct {
	Labels map[string]string   `json:"labels"`
	Start  int64               `json:"start"`
	By     []map[string]string `json:"by"`
}

func main() {
	if len(os.Args) > 1 {
		fail(errors.New("usage: notifications < input.json"))
	}
	in, err := read(os.Stdin)
	if err != nil {
		fail(fmt.Errorf("standard input: %w", err))
	}
	conf, err := config.LoadFile(in.Config)
	if err != nil {
		fail(fmt.Errorf("%s: %w", in.Config, err))
	}
	started := time.Now()
	// The clock of synctest can only be had in a test, and a test can be run without "go test". What it
	// prints of itself is not wanted.
	output := os.Stdout
	os.Stdout = os.Stderr
	simulation := testing.InternalTest{Name: "notifications", F: func(t *testing.T) {
		var out *result
		synctest.Test(t, func(*testing.T) { out, err = simulate(in, conf) })
		if err != nil {
			fail(err)
		}
		out.Seconds = time.Since(started).Seconds()
		if err := json.NewEncoder(output).Encode(out); err != nil {
			fail(err)
		}
		os.Exit(0)
	}}
	flag.CommandLine.SetOutput(io.Discard)
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{simulation}, nil, nil)
}

func read(file io.Reader) (*input, error) {
	in := &input{}
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return nil, err
	}
	switch {
	case in.Interval <= 0:
		return nil, errors.New("interval must be above 0")
	case in.End <= in.Start:
		return nil, errors.New("end must be after start")
	}
	for _, alert := range in.Alerts {
		if alert.End <= alert.Start || alert.Start < in.Start {
			return nil, fmt.Errorf("alert %v must start in the period, and end after that", alert.Labels)
		}
	}
	return in, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

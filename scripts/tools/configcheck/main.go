// Command configcheck says what programs of a cluster refuse of their rendered configuration, by their own code:
// the API server, the Prometheus operator, Prometheus, Alertmanager, kube-state-metrics and the blackbox exporter.
//
//	configcheck < jobs.json
//
// It reads a list of jobs and answers with as many lists of refusals. A job names a program and has the program's
// input; what that is, is at the program's function.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"k8s.io/klog/v2"
)

type job struct {
	Program string          `json:"program"`
	Input   json.RawMessage `json:"input"`
}

// A refusal is what a program says; Object is the one that it is about, as "Kind namespace/name", and empty where it
// is about the input as a whole. By names who says it, where the program itself hands it on.
type refusal struct {
	Object  string `json:"object,omitempty"`
	By      string `json:"by,omitempty"`
	Message string `json:"message"`
}

var programs = map[string]func(json.RawMessage) ([]refusal, error){
	"kube-apiserver":      customResource,
	"prometheus-operator": operatorFlags,
	"prometheus":          prometheus,
	"alertmanager":        alertmanager,
	"kube-state-metrics":  kubeStateMetrics,
	"blackbox_exporter":   blackboxExporter,
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	// Programs log on their way; only what they return counts.
	klog.SetOutput(io.Discard)
	var jobs []job
	if err := json.NewDecoder(in).Decode(&jobs); err != nil {
		return fmt.Errorf("reading jobs: %w", err)
	}
	answers := make([][]refusal, len(jobs))
	failures := make([]error, len(jobs))
	var group sync.WaitGroup
	for _, indices := range parallel(jobs) {
		group.Go(func() {
			for _, i := range indices {
				answers[i], failures[i] = answer(jobs[i])
			}
		})
	}
	group.Wait()
	for i, err := range failures {
		if err != nil {
			return fmt.Errorf("%s: %w", jobs[i].Program, err)
		}
	}
	return json.NewEncoder(out).Encode(answers)
}

// parallel returns jobs in groups of one program each: some programs keep flags in globals.
func parallel(jobs []job) map[string][]int {
	groups := map[string][]int{}
	for i, one := range jobs {
		groups[one.Program] = append(groups[one.Program], i)
	}
	return groups
}

func answer(one job) (found []refusal, err error) {
	defer func() {
		if reason := recover(); reason != nil { // It would in the cluster, too.
			found, err = said(fmt.Errorf("panic: %v", reason)), nil
		}
	}()
	check, known := programs[one.Program]
	if !known {
		return nil, fmt.Errorf("no such program")
	}
	found, err = check(one.Input)
	if found == nil {
		found = []refusal{}
	}
	return found, err
}

// said returns an error as one refusal, on one line.
func said(err error) []refusal {
	if err == nil {
		return nil
	}
	return []refusal{{Message: line(err)}}
}

// line returns an error's text on one line; what it lists on lines of its own comes after semicolons.
func line(err error) string {
	first, rest, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	text := strings.Join(strings.Fields(first), " ")
	for i, more := range strings.Split(rest, "\n") {
		if more = strings.Join(strings.Fields(more), " "); more != "" && i == 0 {
			text += " " + more
		} else if more != "" {
			text += "; " + more
		}
	}
	return text
}

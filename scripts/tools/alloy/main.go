// Command alloy runs this repository's log pipelines in Grafana Alloy's own runtime: its loader, its
// components, its stages and its clock. Alloy's command cannot be built as a Go module, as it imports
// every component; this one imports those that base/logs uses. Its module path lies below Alloy's, which
// is what Go asks of whoever imports a package below `internal/`.
//
//	alloy check FILE                loads a file as Alloy would; prints what sends to Loki
//	alloy pipeline                  runs log lines through files, with the pauses between them
//	alloy stages FILE COMPONENT     runs lines through the stages of one loki.process
//	alloy bench FILE COMPONENT      measures what each of these stages costs
//	alloy run FILE FOLDER LOGS LOKI runs a file until SIGTERM: its data, its log folder, its Loki
//
// It opens connections on loopback only.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/grafana/alloy/internal/component/discovery"
)

func main() {
	// 5 s in a cluster, where nobody waits for the first targets.
	discovery.MaxUpdateFrequency = 100 * time.Millisecond
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "check":
		return check(args[1])
	case len(args) == 1 && args[0] == "pipeline":
		return answer(pipeline)
	case len(args) == 3 && args[0] == "stages":
		return answer(func(lines []string) ([][]string, error) { return passed(args[1], args[2], lines) })
	case len(args) == 3 && args[0] == "bench":
		return answer(func(lines []string) ([]cost, error) { return bench(args[1], args[2], lines) })
	case len(args) == 5 && args[0] == "run":
		return serve(args[1], args[2], args[3], args[4])
	}
	return fmt.Errorf("usage: alloy check FILE | pipeline | stages FILE COMPONENT | bench FILE COMPONENT | " +
		"run FILE FOLDER LOGS LOKI")
}

// answer reads a list from standard input as JSON, and writes what is made of it.
func answer[In, Out any](of func([]In) ([]Out, error)) error {
	var in []In
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("standard input is no JSON array: %w", err)
	}
	out, err := of(in)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

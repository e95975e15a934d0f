// Command obscheck answers what only the upstream parsers and log stages can answer about this
// repository's Alloy configuration and queries. It reads standard input, writes JSON to standard output,
// and never opens a connection.
//
//	obscheck check FILE.alloy             what the file needs and which labels leave it
//	obscheck pipeline FILE.alloy          runs log lines through it
//	obscheck queries                      parses PromQL and LogQL
//
// Alloy's own binary cannot be built as a Go module. Its syntax is parsed and evaluated by its real
// parser; its loki.process stages run as the Promtail stages that Alloy's were copied from. What Promtail
// lacks is refused.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "check":
		graph, err := load(args[1])
		if err != nil {
			return err
		}
		return write(graph.report())
	case len(args) == 2 && args[0] == "pipeline":
		var cases []testCase
		if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
			return fmt.Errorf("standard input is no JSON array of cases: %w", err)
		}
		graph, err := load(args[1])
		if err != nil {
			return err
		}
		results := make([]result, len(cases))
		for i, c := range cases {
			if results[i], err = graph.run(c); err != nil {
				return fmt.Errorf("case %s: %w", c.ID, err)
			}
		}
		return write(results)
	case len(args) == 1 && args[0] == "queries":
		var queries []query
		if err := json.NewDecoder(os.Stdin).Decode(&queries); err != nil {
			return fmt.Errorf("standard input is no JSON array of queries: %w", err)
		}
		answers := make([]answer, len(queries))
		for i, q := range queries {
			answers[i] = parse(q)
		}
		return write(answers)
	}
	return fmt.Errorf("usage: obscheck check FILE.alloy | pipeline FILE.alloy < cases | queries < queries")
}

func write(v any) error {
	return json.NewEncoder(os.Stdout).Encode(v)
}

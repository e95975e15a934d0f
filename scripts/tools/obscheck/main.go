// Command obscheck answers what only the upstream parsers can answer about this repository's Alloy
// configuration and queries. It reads standard input, writes JSON to standard output, and never opens a
// connection.
//
//	obscheck check FILE.alloy             what the file needs and which labels leave it
//	obscheck queries                      parses PromQL and LogQL
//
// It is what `make validate` builds; scripts/tools/alloy runs the configuration, and takes longer to build.
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
		found, err := check(args[1])
		if err != nil {
			return err
		}
		return write(found)
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
	return fmt.Errorf("usage: obscheck check FILE.alloy | queries < queries")
}

func write(v any) error {
	return json.NewEncoder(os.Stdout).Encode(v)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
)

// surroundings are what a file finds on this machine in place of a cluster.
type surroundings struct {
	api  string // URL of the Kubernetes API server
	loki string // URL that loki.write pushes to
	logs string // folder in place of /var/log/pods
}

// additions are lines that a block gets, by its name: the only changes, with the folder of the logs.
func (s surroundings) additions(name string) string {
	switch name {
	case "discovery.kubernetes":
		return fmt.Sprintf("api_server = %q", s.api)
	case "loki.source.kubernetes_events":
		return fmt.Sprintf("client { api_server = %q }", s.api)
	case "import.file":
		// Instances of inotify are few on a machine, and files do not change here.
		return `detector = "poll"`
	}
	return ""
}

// rewired is a file with other surroundings, and where lines were added to it.
type rewired struct {
	text  []byte
	added []int // numbers of the lines in front of the added ones, in the original
}

// original returns the number in the original of a line.
func (r rewired) original(line int) int {
	for i := len(r.added) - 1; i >= 0; i-- {
		if line > r.added[i]+i {
			return line - i - 1
		}
	}
	return line
}

func (s surroundings) rewire(path string) (rewired, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return rewired{}, err
	}
	file, err := parser.ParseFile(path, text)
	if err != nil {
		return rewired{}, err
	}
	lines := strings.Split(strings.ReplaceAll(string(text), "/var/log/pods", s.logs), "\n")
	insert := map[int]string{}
	blocks(file.Body, func(b *ast.BlockStmt) {
		if addition := s.additions(strings.Join(b.Name, ".")); addition != "" {
			insert[b.LCurlyPos.Position().Line] = addition
		}
		if strings.Join(b.Name, ".") == "endpoint" {
			for _, statement := range b.Body {
				if a, ok := statement.(*ast.AttributeStmt); ok && a.Name.Name == "url" {
					lines[ast.StartPos(a).Position().Line-1] = fmt.Sprintf("url = %q", s.loki)
				}
			}
		}
	})
	r := rewired{}
	for number, line := range lines {
		r.text = append(append(r.text, line...), '\n')
		if addition, ok := insert[number+1]; ok {
			r.text = append(append(r.text, addition...), '\n')
			r.added = append(r.added, number+1)
		}
	}
	return r, nil
}

// copyTo writes the files of a folder, rewired, to another one.
func (s surroundings) copyTo(from, to string) (map[string]rewired, error) {
	paths, err := filepath.Glob(filepath.Join(from, "*.alloy"))
	if err != nil {
		return nil, err
	}
	copies := map[string]rewired{}
	for _, path := range paths {
		r, err := s.rewire(path)
		if err != nil {
			return nil, err
		}
		copies[filepath.Base(path)] = r
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), r.text, 0o600); err != nil {
			return nil, err
		}
	}
	return copies, nil
}

func blocks(body ast.Body, visit func(*ast.BlockStmt)) {
	for _, statement := range body {
		if b, ok := statement.(*ast.BlockStmt); ok {
			visit(b)
			blocks(b.Body, visit)
		}
	}
}

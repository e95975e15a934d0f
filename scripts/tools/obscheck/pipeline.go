package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/printer"
	"github.com/grafana/alloy/syntax/vm"
)

// report is what the rest of the repository must provide for a file of Alloy, those that it imports
// included.
type report struct {
	Environment []string `json:"environment"` // variables it reads
	Labels      []string `json:"labels"`      // of streams that it can send
}

// check reads a file as text: whether Alloy loads it, scripts/tools/alloy says.
func check(path string) (report, error) {
	files := map[string]*ast.File{}
	if err := read(path, files); err != nil {
		return report{}, err
	}
	environment, labels := map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		v := &visitor{environment: environment}
		ast.Walk(v, files[name])
		if v.fault != nil {
			return report{}, v.fault
		}
		for _, b := range v.blocks {
			kept, err := sent(b)
			if err != nil {
				return report{}, err
			}
			for _, label := range kept {
				labels[label] = true
			}
		}
	}
	return report{slices.Sorted(maps.Keys(environment)), slices.Sorted(maps.Keys(labels))}, nil
}

// read parses a file and what it imports. Each must be as `alloy fmt` writes it.
func read(path string, files map[string]*ast.File) error {
	if files[path] != nil {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(path, text)
	if err != nil {
		return err
	}
	var wanted bytes.Buffer
	if err := printer.Fprint(&wanted, file); err != nil {
		return err
	}
	wanted.WriteByte('\n')
	if err := same(path, text, wanted.Bytes()); err != nil {
		return err
	}
	files[path] = file
	v := &visitor{environment: map[string]bool{}}
	ast.Walk(v, file)
	for _, b := range v.blocks {
		if strings.Join(b.Name, ".") != "import.file" {
			continue
		}
		for _, name := range literals(b) {
			if strings.HasSuffix(name, ".alloy") {
				if err := read(filepath.Join(filepath.Dir(path), name), files); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// same names the first line that differs from what `alloy fmt` writes.
func same(path string, text, wanted []byte) error {
	got, want := strings.SplitAfter(string(text), "\n"), strings.SplitAfter(string(wanted), "\n")
	for number := range max(len(got), len(want)) {
		if number >= len(got) || number >= len(want) || got[number] != want[number] {
			line := ""
			if number < len(want) {
				line = want[number]
			}
			return fmt.Errorf("%s:%d:1: `alloy fmt` writes %q here", path, number+1, line)
		}
	}
	return nil
}

// visitor collects blocks, and variables that `sys.env` reads; one that is not set is a fault, which to
// Alloy would be an empty one.
type visitor struct {
	blocks      []*ast.BlockStmt
	environment map[string]bool
	fault       error
}

// Visit implements ast.Visitor.
func (v *visitor) Visit(node ast.Node) ast.Visitor {
	switch n := node.(type) {
	case *ast.BlockStmt:
		v.blocks = append(v.blocks, n)
	case *ast.CallExpr:
		if access, ok := n.Value.(*ast.AccessExpr); !ok || access.Name.Name != "env" {
			break
		}
		for _, name := range literals(n) {
			v.environment[name] = true
			if _, set := os.LookupEnv(name); !set && v.fault == nil {
				v.fault = fault(n, fmt.Errorf("environment variable %s is not set", name))
			}
		}
	}
	return v
}

// sent returns the labels that loki.write adds, or that the loki.process in front of one keeps.
func sent(b *ast.BlockStmt) (names []string, err error) {
	switch strings.Join(b.Name, ".") {
	case "loki.write":
		for _, statement := range b.Body {
			if a, ok := statement.(*ast.AttributeStmt); ok && a.Name.Name == "external_labels" {
				if object, ok := a.Value.(*ast.ObjectExpr); ok {
					for _, field := range object.Fields {
						names = append(names, field.Name.Name)
					}
				}
			}
		}
	case "loki.process":
		if !writes(b) {
			return nil, nil
		}
		last, ok := b.Body[len(b.Body)-1].(*ast.BlockStmt)
		if !ok || strings.Join(last.Name, ".") != "stage.label_keep" {
			return nil, fault(b, fmt.Errorf("its last stage is no stage.label_keep, so any label can reach Loki"))
		}
		return literals(last), nil
	default:
		if strings.HasPrefix(strings.Join(b.Name, "."), "loki.source.") && writes(b) {
			return nil, fault(b, fmt.Errorf("sends to Loki without a stage.label_keep, so any label can reach it"))
		}
	}
	return names, nil
}

// writes reports whether a component forwards to a loki.write.
func writes(b *ast.BlockStmt) bool {
	for _, statement := range b.Body {
		a, ok := statement.(*ast.AttributeStmt)
		if !ok || a.Name.Name != "forward_to" {
			continue
		}
		var text bytes.Buffer
		if err := printer.Fprint(&text, a.Value); err == nil && strings.Contains(text.String(), "loki.write.") {
			return true
		}
	}
	return false
}

// literals returns the strings below a node.
func literals(node ast.Node) (found []string) {
	ast.Walk(visit(func(n ast.Node) {
		if l, ok := n.(*ast.LiteralExpr); ok {
			var text string
			if err := vm.New(l).Evaluate(nil, &text); err == nil {
				found = append(found, text)
			}
		}
	}), node)
	return found
}

type visit func(ast.Node)

// Visit implements ast.Visitor.
func (f visit) Visit(node ast.Node) ast.Visitor {
	f(node)
	return f
}

func fault(node ast.Node, err error) error {
	return fmt.Errorf("%s: %w", ast.StartPos(node).Position(), err)
}

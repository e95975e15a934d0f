package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/diag"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/vm"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
)

// The arguments of the components that this repository uses; attribute names and defaults as in Alloy
// v1.18 (internal/component/**, fields tagged `alloy`). An attribute that is not here is an error: add it
// together with its meaning.

type (
	discoveryKubernetes struct {
		Role      string `alloy:"role,attr"`
		Selectors []struct {
			Role  string `alloy:"role,attr"`
			Label string `alloy:"label,attr,optional"`
			Field string `alloy:"field,attr,optional"`
		} `alloy:"selectors,block,optional"`
	}

	discoveryRelabel struct {
		Targets string `alloy:"targets,attr"`
		Rules   []rule `alloy:"rule,block,optional"`
	}

	rule struct {
		SourceLabels []string `alloy:"source_labels,attr,optional"`
		Separator    string   `alloy:"separator,attr,optional"`
		Regex        string   `alloy:"regex,attr,optional"`
		Modulus      uint64   `alloy:"modulus,attr,optional"`
		TargetLabel  string   `alloy:"target_label,attr,optional"`
		Replacement  string   `alloy:"replacement,attr,optional"`
		Action       string   `alloy:"action,attr,optional"`
	}

	sourceFile struct {
		Targets   string   `alloy:"targets,attr"`
		ForwardTo []string `alloy:"forward_to,attr"`
		FileMatch struct {
			Enabled         bool          `alloy:"enabled,attr,optional"`
			SyncPeriod      time.Duration `alloy:"sync_period,attr,optional"`
			IgnoreOlderThan time.Duration `alloy:"ignore_older_than,attr,optional"`
		} `alloy:"file_match,block,optional"`
		TailFromEnd bool `alloy:"tail_from_end,attr,optional"`
	}

	sourceEvents struct {
		ForwardTo  []string `alloy:"forward_to,attr"`
		JobName    string   `alloy:"job_name,attr,optional"`
		Namespaces []string `alloy:"namespaces,attr,optional"`
		LogFormat  string   `alloy:"log_format,attr,optional"`
	}

	process struct {
		ForwardTo []string `alloy:"forward_to,attr"`
		Stages    []stage  `alloy:"stage,enum,optional"`
	}

	lokiWrite struct {
		Endpoint []struct {
			URL               string        `alloy:"url,attr"`
			BatchWait         time.Duration `alloy:"batch_wait,attr,optional"`
			BatchSize         string        `alloy:"batch_size,attr,optional"`
			MaxBackoff        time.Duration `alloy:"max_backoff_period,attr,optional"`
			MaxBackoffRetries int           `alloy:"max_backoff_retries,attr,optional"`
		} `alloy:"endpoint,block,optional"`
		ExternalLabels map[string]string `alloy:"external_labels,attr,optional"`
	}

	importFile struct {
		Filename string `alloy:"filename,attr"`
	}

	exportBlock struct {
		Value string `alloy:"value,attr"`
	}
)

// SetToDefault implements syntax.Defaulter.
func (r *rule) SetToDefault() {
	*r = rule{Separator: ";", Regex: "(.*)", Replacement: "$1", Action: "replace"}
}

func (r *rule) config() (*relabel.Config, error) {
	regex, err := relabel.NewRegexp(r.Regex)
	if err != nil {
		return nil, err
	}
	c := &relabel.Config{
		Separator: r.Separator, Regex: regex, Modulus: r.Modulus, TargetLabel: r.TargetLabel,
		Replacement: r.Replacement, Action: relabel.Action(r.Action),
	}
	for _, name := range r.SourceLabels {
		c.SourceLabels = append(c.SourceLabels, model.LabelName(name))
	}
	return c, c.Validate()
}

// exports are the fields that expressions may read of a component. A component stands for itself in
// them: `loki.process.parse.receiver` evaluates to that component's id.
var exports = map[string]string{
	"discovery.kubernetes":          "targets",
	"discovery.relabel":             "output",
	"loki.source.file":              "",
	"loki.source.kubernetes_events": "",
	"loki.process":                  "receiver",
	"loki.write":                    "receiver",
}

// hides reports whether a declared name is the first word of a component: Alloy then looks for that
// component in the module only.
func hides(name string) bool {
	for kind := range exports {
		if strings.HasPrefix(kind, name+".") {
			return true
		}
	}
	return false
}

// component is one block with its arguments evaluated.
type component struct {
	id    string
	kind  string
	block *ast.BlockStmt
	args  any
}

// scope is one file or one instance of a declared component.
type scope struct {
	prefix    string // path of the instances around it, as in Alloy's component_path
	body      ast.Body
	declared  map[string]*ast.BlockStmt
	variables map[string]any
	instances map[*ast.BlockStmt]*scope
}

// graph is everything one configuration file declares.
type graph struct {
	components  map[string]*component
	order       []string
	environment map[string]bool
}

func load(path string) (*graph, error) {
	g := &graph{components: map[string]*component{}, environment: map[string]bool{}}
	root, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	s := &scope{body: root.Body, variables: g.standardLibrary(filepath.Dir(path))}
	if err := g.declare(s); err != nil {
		return nil, err
	}
	if err := g.evaluate(s); err != nil {
		return nil, err
	}
	return g, g.link()
}

func parseFile(path string) (*ast.File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(path, text)
}

// standardLibrary holds the functions of Alloy's library that the configuration may use, with the names
// of Alloy v1.18, which are newer than those of the syntax module.
func (g *graph) standardLibrary(dir string) map[string]any {
	return map[string]any{
		"module_path": dir,
		"sys": map[string]any{"env": func(name string) (string, error) {
			g.environment[name] = true
			value, ok := os.LookupEnv(name)
			if !ok {
				return "", fmt.Errorf("environment variable %s is not set", name)
			}
			return value, nil
		}},
		"file": map[string]any{"path_join": filepath.Join},
		"string": map[string]any{
			"format": fmt.Sprintf, "join": strings.Join, "replace": strings.ReplaceAll,
			"split": strings.Split, "trim_space": strings.TrimSpace,
		},
		"array": map[string]any{"concat": func(a, b []string) []string { return slices.Concat(a, b) }},
		// Names that Alloy deprecates or that are not meant for these files.
		"env": nil, "format": nil, "join": nil, "replace": nil, "split": nil, "concat": nil,
		"to_lower": nil, "to_upper": nil, "trim": nil, "trim_prefix": nil, "trim_suffix": nil,
		"trim_space": nil, "json_decode": nil, "json_path": nil, "nonsensitive": nil,
	}
}

// declare walks a scope's blocks, so that expressions anywhere can refer to them.
func (g *graph) declare(s *scope) error {
	s.declared = map[string]*ast.BlockStmt{}
	s.instances = map[*ast.BlockStmt]*scope{}
	blocks, err := s.blocks()
	if err != nil {
		return err
	}
	for _, b := range blocks {
		switch name := strings.Join(b.Name, "."); name {
		case "import.file":
			var args importFile
			if err := s.eval(b.Body, &args); err != nil {
				return err
			}
			file, err := parseFile(args.Filename)
			if err != nil {
				return fault(b, err)
			}
			module := &scope{body: file.Body}
			declarations, err := module.blocks()
			if err != nil {
				return err
			}
			if hides(b.Label) {
				return fault(b, fmt.Errorf("the name %s hides Alloy's components", b.Label))
			}
			for _, d := range declarations {
				if hides(d.Label) {
					return fault(d, fmt.Errorf("the name %s hides Alloy's components", d.Label))
				}
				if strings.Join(d.Name, ".") != "declare" {
					return fault(d, fmt.Errorf("a module may hold declare blocks only"))
				}
				s.declared[b.Label+"."+d.Label] = d
			}
		case "declare":
			if hides(b.Label) {
				return fault(b, fmt.Errorf("the name %s hides Alloy's components", b.Label))
			}
			s.declared[b.Label] = b
		}
	}
	for _, b := range blocks {
		name := strings.Join(b.Name, ".")
		if d, ok := s.declared[name]; ok {
			id := s.prefix + "/" + name + "." + b.Label
			variables := map[string]any{}
			for _, shared := range []string{"sys", "file", "string", "array", "module_path"} {
				variables[shared] = s.variables[shared]
			}
			inner := &scope{prefix: id, body: d.Body, variables: variables}
			if err := g.declare(inner); err != nil {
				return err
			}
			s.instances[b] = inner
			values := map[string]any{}
			for _, e := range d.Body {
				if export, ok := e.(*ast.BlockStmt); ok && export.Name[0] == "export" {
					var value exportBlock
					if err := inner.eval(export.Body, &value); err != nil {
						return err
					}
					values[export.Label] = value.Value
				}
			}
			set(s.variables, append(slices.Clone(b.Name), b.Label), values)
			continue
		}
		export, ok := exports[name]
		switch {
		case ok:
			id := s.prefix + "/" + name + "." + b.Label
			if _, twice := g.components[id]; twice {
				return fault(b, fmt.Errorf("%s %q is declared twice", name, b.Label))
			}
			g.components[id] = &component{id: id, kind: name, block: b}
			g.order = append(g.order, id)
			set(s.variables, append(slices.Clone(b.Name), b.Label), map[string]any{export: id})
		case slices.Contains([]string{"import.file", "declare", "argument", "export"}, name):
		default:
			return fault(b, fmt.Errorf("unknown component %s", name))
		}
	}
	return nil
}

// evaluate fills in the arguments, now that every name is known.
func (g *graph) evaluate(s *scope) error {
	for _, statement := range s.body {
		b := statement.(*ast.BlockStmt)
		if inner, ok := s.instances[b]; ok {
			arguments, err := s.attributes(b)
			if err != nil {
				return err
			}
			known := map[string]any{}
			for _, e := range inner.body {
				if a := e.(*ast.BlockStmt); a.Name[0] == "argument" {
					value, given := arguments[a.Label]
					if !given {
						return fault(b, fmt.Errorf("argument %s is missing", a.Label))
					}
					known[a.Label] = map[string]any{"value": value}
					delete(arguments, a.Label)
				}
			}
			for name := range arguments {
				return fault(b, fmt.Errorf("unknown argument %s", name))
			}
			inner.variables["argument"] = known
			if err := g.evaluate(inner); err != nil {
				return err
			}
			continue
		}
		c := g.components[s.prefix+"/"+strings.Join(b.Name, ".")+"."+b.Label]
		if c == nil {
			continue
		}
		switch c.kind {
		case "discovery.kubernetes":
			c.args = &discoveryKubernetes{}
		case "discovery.relabel":
			c.args = &discoveryRelabel{}
		case "loki.source.file":
			c.args = &sourceFile{}
		case "loki.source.kubernetes_events":
			c.args = &sourceEvents{}
		case "loki.process":
			c.args = &process{}
		case "loki.write":
			c.args = &lokiWrite{}
		}
		if err := s.eval(b.Body, c.args); err != nil {
			return err
		}
		if err := validate(c); err != nil {
			return err
		}
	}
	return nil
}

// validate builds what the component is made of, so that a fault names its line.
func validate(c *component) error {
	inner := func(name string) (blocks []*ast.BlockStmt) {
		for _, statement := range c.block.Body {
			if b, ok := statement.(*ast.BlockStmt); ok && b.Name[0] == name {
				blocks = append(blocks, b)
			}
		}
		return blocks
	}
	switch args := c.args.(type) {
	case *discoveryRelabel:
		for i, b := range inner("rule") {
			if _, err := args.Rules[i].config(); err != nil {
				return fault(b, err)
			}
		}
	case *process:
		for i, b := range inner("stage") {
			if _, err := newPipeline(args.Stages[i : i+1]); err != nil {
				return fault(b, err)
			}
		}
	case *lokiWrite:
		if len(args.Endpoint) == 0 {
			return fault(c.block, fmt.Errorf("no endpoint: every entry would be lost"))
		}
	}
	return nil
}

// link checks that what receives entries can receive them.
func (g *graph) link() error {
	for _, id := range g.order {
		c := g.components[id]
		for _, to := range c.forwardTo() {
			if t := g.components[to]; t == nil || exports[t.kind] != "receiver" {
				return fmt.Errorf("%s: forward_to names %q, which receives no entries", c.place(), to)
			}
		}
		from := ""
		switch args := c.args.(type) {
		case *discoveryRelabel:
			from = args.Targets
		case *sourceFile:
			from = args.Targets
		default:
			continue
		}
		if t := g.components[from]; t == nil || !strings.HasPrefix(t.kind, "discovery.") {
			return fmt.Errorf("%s: targets names %q, which has none", c.place(), from)
		}
	}
	return nil
}

func (c *component) forwardTo() []string {
	switch args := c.args.(type) {
	case *sourceFile:
		return args.ForwardTo
	case *sourceEvents:
		return args.ForwardTo
	case *process:
		return args.ForwardTo
	}
	return nil
}

func (c *component) place() string {
	return c.block.NamePos.Position().String()
}

func (s *scope) blocks() ([]*ast.BlockStmt, error) {
	blocks := []*ast.BlockStmt{}
	for _, statement := range s.body {
		b, ok := statement.(*ast.BlockStmt)
		if !ok {
			return nil, diag.Diagnostics{{
				Severity: diag.SeverityLevelError, StartPos: ast.StartPos(statement).Position(),
				Message: "only blocks may stand here",
			}}
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

func (s *scope) attributes(b *ast.BlockStmt) (map[string]any, error) {
	values := map[string]any{}
	for _, statement := range b.Body {
		a, ok := statement.(*ast.AttributeStmt)
		if !ok {
			return nil, fault(b, fmt.Errorf("a declared component takes attributes only"))
		}
		var value any
		if err := s.eval(a.Value, &value); err != nil {
			return nil, err
		}
		list, ok := value.([]any)
		if !ok {
			values[a.Name.Name] = value
			continue
		}
		strs := []string{}
		for _, v := range list {
			strs = append(strs, fmt.Sprint(v))
		}
		values[a.Name.Name] = strs
	}
	return values, nil
}

func (s *scope) eval(node ast.Node, into any) error {
	return vm.New(node).Evaluate(&vm.Scope{Variables: s.variables}, into)
}

func fault(b *ast.BlockStmt, err error) error {
	return fmt.Errorf("%s: %w", b.NamePos.Position(), err)
}

func set(into map[string]any, path []string, value map[string]any) {
	for _, name := range path[:len(path)-1] {
		next, ok := into[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			into[name] = next
		}
		into = next
	}
	into[path[len(path)-1]] = value
}

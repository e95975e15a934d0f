package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/grafana/alloy/internal/alloyseed"
	"github.com/grafana/alloy/internal/component"
	"github.com/grafana/alloy/internal/featuregate"
	"github.com/grafana/alloy/internal/runtime"
	"github.com/grafana/alloy/internal/runtime/logging"
	"github.com/grafana/alloy/internal/service"
	"github.com/grafana/alloy/internal/service/cluster"
	"github.com/grafana/alloy/internal/service/livedebugging"
	"github.com/grafana/alloy/syntax/diag"
	"github.com/prometheus/client_golang/prometheus"

	// What base/logs may use.
	_ "github.com/grafana/alloy/internal/component/discovery/kubernetes"
	_ "github.com/grafana/alloy/internal/component/discovery/relabel"
	_ "github.com/grafana/alloy/internal/component/loki/process"
	_ "github.com/grafana/alloy/internal/component/loki/source/file"
	_ "github.com/grafana/alloy/internal/component/loki/source/kubernetes_events"
	_ "github.com/grafana/alloy/internal/component/loki/write"
)

// alone is Alloy's clustering where there is one Alloy: events ask for it.
type alone struct{}

func (alone) Definition() service.Definition {
	return service.Definition{Name: cluster.ServiceName, Stability: featuregate.StabilityGenerallyAvailable}
}

func (alone) Run(ctx context.Context, _ service.Host) error {
	<-ctx.Done()
	return nil
}

func (alone) Update(any) error { return nil }

func (alone) Data() any { return cluster.Mock() }

// loaded is a file in Alloy's runtime.
type loaded struct {
	*runtime.Runtime
	registry *prometheus.Registry
}

// load loads a file, rewired, with a folder for copies of the configuration and for what components keep.
// Errors name the places of the original.
func load(file, folder string, s surroundings, log io.Writer) (*loaded, error) {
	alloyseed.Init(folder, nil)
	copies, err := s.copyTo(filepath.Dir(file), folder)
	if err != nil {
		return nil, err
	}
	logger, err := logging.New(log, logging.DefaultOptions)
	if err != nil {
		return nil, err
	}
	l := &loaded{registry: prometheus.NewRegistry()}
	l.Runtime, err = runtime.New(runtime.Options{
		Logger:   logger,
		DataPath: filepath.Join(folder, "data"),
		Reg:      l.registry,
		// As the release runs it.
		MinStability:         featuregate.StabilityGenerallyAvailable,
		Services:             []service.Service{alone{}, livedebugging.New()},
		TaskShutdownDeadline: 10 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	place := filepath.Join(folder, filepath.Base(file))
	source, err := runtime.ParseSource(place, copies[filepath.Base(file)].text)
	if err == nil {
		err = l.LoadSource(source, nil, place)
	}
	return l, originals(err, filepath.Dir(file), copies)
}

// originals gives errors the names and lines of the files that somebody wrote.
func originals(err error, folder string, copies map[string]rewired) error {
	var found diag.Diagnostics
	if !errors.As(err, &found) {
		return err
	}
	texts := []string{}
	for _, d := range found {
		// An imported file goes by the label of its import.
		name := strings.TrimSuffix(filepath.Base(d.StartPos.Filename), ".alloy") + ".alloy"
		line := copies[name].original(d.StartPos.Line)
		texts = append(texts, fmt.Sprintf("%s:%d:%d: %s", filepath.Join(folder, name), line, d.StartPos.Column, d.Message))
	}
	slices.Sort(texts)
	return errors.New(strings.Join(texts, "\n"))
}

// all returns every component, those of modules included.
func (l *loaded) all() ([]*component.Info, error) {
	options := component.InfoOptions{GetHealth: true, GetArguments: true, GetExports: true}
	found := []*component.Info{}
	modules := []string{""}
	for len(modules) > 0 {
		list, err := l.ListComponents(modules[0], options)
		if err != nil {
			return nil, err
		}
		modules = modules[1:]
		for _, info := range list {
			found = append(found, info)
			modules = append(modules, info.ModuleIDs...)
		}
	}
	return found, nil
}

// check prints the components that send to Loki, or returns everything that Alloy refuses.
func check(file string) error {
	var log bytes.Buffer
	components, err := inspect(file, &log)
	faults := []error{err}
	// Alloy goes on without a module that it refuses.
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, " level=error ") && strings.Contains(line, "import") {
			faults = append(faults, fmt.Errorf("%s: %s", file, strings.TrimSpace(line[strings.Index(line, "msg="):])))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	writes := []string{}
	for _, c := range components {
		if c.ComponentName == "loki.write" {
			writes = append(writes, c.ID.String())
		}
	}
	return json.NewEncoder(os.Stdout).Encode(writes)
}

// inspect returns the components of a file, which runs for a moment, as modules have none before.
func inspect(file string, log io.Writer) ([]*component.Info, error) {
	folder, err := os.MkdirTemp("", "alloy")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	nowhere := surroundings{api: "http://127.0.0.1:1", loki: "http://127.0.0.1:1", logs: folder}
	l, err := load(file, folder, nowhere, log)
	if err != nil {
		return nil, err
	}
	defer l.start()()
	return l.all()
}

// start runs what is loaded until the function that it returns is called; it returns when modules run.
func (l *loaded) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	for ; ; time.Sleep(5 * time.Millisecond) {
		components, err := l.all()
		starting := func(c *component.Info) bool { return c.Type == component.TypeCustom && len(c.ModuleIDs) == 0 }
		if err == nil && l.LoadComplete() && !slices.ContainsFunc(components, starting) {
			return func() {
				cancel()
				running.Wait()
			}
		}
	}
}

// serve runs a file until SIGTERM, as the release's pod does.
func serve(file, folder, logs, loki string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	api := newCluster()
	defer api.Close()
	pod, err := firstPod(logs)
	if err != nil {
		return err
	}
	api.add("", pod)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	l, err := load(file, folder, surroundings{api: api.URL, loki: loki, logs: logs}, os.Stderr)
	if err != nil {
		return err
	}
	l.Run(ctx)
	text, err := l.metrics()
	fmt.Print(text)
	return err
}

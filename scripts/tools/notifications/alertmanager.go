package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
)

// Defaults of Alertmanager's flags.
const (
	retention           = 120 * time.Hour
	logMaintenance      = 15 * time.Minute
	alertGC             = 30 * time.Minute
	dispatchMaintenance = 30 * time.Second
)

// simulate runs Alertmanager through the period. It must be called in a bubble of synctest. What is put
// together, and in which order, follows Alertmanager's package app, which cannot do without a network.
func simulate(in *input, conf *config.Config) (*result, error) {
	time.Sleep(time.Until(time.UnixMilli(in.Start)))
	var (
		ctx      = context.Background()
		logger   = promslog.NewNopLogger()
		registry = prometheus.NewRegistry()
		events   = eventrecorder.NopRecorder()
		flags    = featurecontrol.NoopFlags{}
		record   = &recorder{inhibitors: map[model.Fingerprint][]string{}}
		stop     = make(chan struct{})
	)
	defer close(stop)
	log, err := nflog.New(nflog.Options{Retention: retention, Logger: logger, Metrics: registry})
	if err != nil {
		return nil, err
	}
	go log.Maintenance(logMaintenance, "", stop, nil)
	silences, err := silence.New(silence.Options{Retention: retention, Logger: logger, Metrics: registry, EventRecorder: events})
	if err != nil {
		return nil, err
	}
	silencer := silence.NewSilencer(silences, logger, events)
	alerts, err := mem.NewAlerts(ctx, alertGC, 0, silencer, logger, events, registry, flags)
	if err != nil {
		return nil, err
	}
	defer alerts.Close()

	templates, err := template.FromGlobs(conf.Templates)
	if err != nil {
		return nil, err
	}
	receivers, err := record.receivers(conf, templates)
	if err != nil {
		return nil, err
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, interval := range conf.MuteTimeIntervals {
		intervals[interval.Name] = interval.TimeIntervals
	}
	for _, interval := range conf.TimeIntervals {
		intervals[interval.Name] = interval.TimeIntervals
	}
	inhibitor := inhibit.NewInhibitor(alerts, conf.InhibitRules, logger, events)
	groups := marker.NewGroupMarker()
	alone := func() time.Duration { return 0 } // No peer has to be waited for.
	pipeline := notify.NewPipelineBuilder(registry, flags, events).New(
		receivers, alone, inhibitor, silencer, timeinterval.NewIntervener(intervals), groups, log, nil,
	)
	dispatcher := dispatch.NewDispatcher(
		alerts,
		dispatch.NewRoute(conf.Route, nil),
		record.inhibitions(pipeline),
		groups,
		func(d time.Duration) time.Duration { return max(d, notify.MinTimeout) },
		dispatchMaintenance,
		nil,
		logger,
		events,
		dispatch.NewDispatcherMetrics(false, registry, flags),
		templates,
	)
	go inhibitor.Run()
	inhibitor.WaitForLoading()
	go dispatcher.Run(time.Now())
	dispatcher.WaitForLoading()
	defer inhibitor.Stop()
	defer dispatcher.Stop()

	end := time.UnixMilli(in.End)
	for _, message := range messages(in) {
		if !message.at.Before(end) {
			break
		}
		time.Sleep(time.Until(message.at))
		if err := message.alert.Validate(); err != nil {
			return nil, fmt.Errorf("alert %v: %w", message.alert.Labels, err)
		}
		if err := alerts.Put(ctx, message.alert); err != nil {
			return nil, err
		}
	}
	time.Sleep(time.Until(end))
	return record.result(in), nil
}

// recorder is in the place of every integration.
type recorder struct {
	mutex         sync.Mutex
	notifications []notification
	// Of each alert ever inhibited, by which.
	inhibitors map[model.Fingerprint][]string
}

// receivers returns the integrations of each receiver, with a recorder in each.
func (r *recorder) receivers(conf *config.Config, templates *template.Template) (map[string][]notify.Integration, error) {
	receivers := map[string][]notify.Integration{}
	for _, configured := range conf.Receivers {
		integrations, err := receiver.BuildReceiverIntegrations(configured, templates, promslog.NewNopLogger())
		if err != nil {
			return nil, fmt.Errorf("receiver %q: %w", configured.Name, err)
		}
		for i, real := range integrations {
			notifier := &recording{r, configured.Name, real.Name()}
			integrations[i] = notify.NewIntegration(notifier, &real, real.Name(), real.Index(), configured.Name)
		}
		receivers[configured.Name] = integrations
	}
	return receivers, nil
}

// inhibitions notes which alerts the pipeline finds inhibited.
func (r *recorder) inhibitions(pipeline notify.Stage) notify.Stage {
	return notify.StageFunc(func(ctx context.Context, logger *slog.Logger, alerts ...*alert.Alert) (context.Context, []*alert.Alert, error) {
		out, left, err := pipeline.Exec(ctx, logger, alerts...)
		if marked, ok := marker.FromContext(ctx); ok {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			for _, one := range alerts {
				fingerprint := one.Fingerprint()
				for _, by := range marked.Status(fingerprint).InhibitedBy {
					if !slices.Contains(r.inhibitors[fingerprint], by) {
						r.inhibitors[fingerprint] = append(r.inhibitors[fingerprint], by)
					}
				}
			}
		}
		return out, left, err
	})
}

// recording is one integration.
type recording struct {
	*recorder
	receiver, integration string
}

// Notify takes down what the integration would have sent.
func (r *recording) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	labels, _ := notify.GroupLabels(ctx)
	reason, _ := notify.NotificationReason(ctx)
	done := notification{
		Time:        time.Now().UnixMilli(),
		Receiver:    r.receiver,
		Integration: r.integration,
		Status:      string(alert.Alerts(alerts...).Status()),
		Reason:      reason.String(),
		GroupLabels: labelMap(labels),
	}
	for _, one := range alerts {
		done.Alerts = append(done.Alerts, notified{labelMap(one.Labels), labelMap(one.Annotations), string(one.Status())})
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.notifications = append(r.notifications, done)
	return false, nil
}

// result returns what was recorded, and what was not.
func (r *recorder) result(in *input) *result {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	out := &result{Notifications: r.notifications, Suppressed: []suppressed{}}
	// Integrations of one receiver are called at once.
	slices.SortStableFunc(out.Notifications, func(a, b notification) int {
		if a.Time != b.Time {
			return int(a.Time - b.Time)
		}
		return strings.Compare(a.Receiver+" "+a.Integration, b.Receiver+" "+b.Integration)
	})
	known := map[string]map[string]string{}
	times := map[model.Fingerprint][]int64{}
	for _, one := range in.Alerts {
		known[labelSet(one.Labels).Fingerprint().String()] = one.Labels
	}
	for _, one := range out.Notifications {
		for _, of := range one.Alerts {
			if of.Status == string(model.AlertFiring) {
				fingerprint := labelSet(of.Labels).Fingerprint()
				times[fingerprint] = append(times[fingerprint], one.Time)
			}
		}
	}
	for _, one := range in.Alerts {
		fingerprint := labelSet(one.Labels).Fingerprint()
		if slices.ContainsFunc(times[fingerprint], func(at int64) bool { return one.Start <= at && at < one.End+in.Interval }) {
			continue
		}
		missed := suppressed{Labels: one.Labels, Start: one.Start, By: []map[string]string{}}
		for _, by := range r.inhibitors[fingerprint] {
			missed.By = append(missed.By, known[by])
		}
		out.Suppressed = append(out.Suppressed, missed)
	}
	return out
}

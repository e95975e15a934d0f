package main

import (
	"hash/fnv"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
)

// Defaults of Prometheus' --rules.alert.resend-delay and of its rules package:
// https://github.com/prometheus/prometheus/blob/main/rules/alerting.go (needsSending, sendAlerts)
const (
	resendDelay       = time.Minute
	resolvedRetention = 15 * time.Minute
)

// sent is one message of Prometheus to Alertmanager.
type sent struct {
	at    time.Time
	alert *alert.Alert
}

// messages returns what Prometheus sends of the alerts, in order of time.
func messages(in *input) []sent {
	interval := time.Duration(in.Interval) * time.Millisecond
	// At the first evaluation after the delay has passed.
	every := (resendDelay/interval + 1) * interval
	valid := 4 * max(interval, resendDelay)
	var all []sent
	for _, one := range in.Alerts {
		labels := labelSet(one.Labels)
		start, end := time.UnixMilli(one.Start), time.UnixMilli(one.End)
		send := func(at, ends time.Time) {
			at = at.Add(spent(labels.Fingerprint(), at))
			all = append(all, sent{at, &alert.Alert{
				Alert: model.Alert{
					Labels:      labels,
					Annotations: labelSet(one.Annotations),
					StartsAt:    start,
					EndsAt:      ends,
				},
				UpdatedAt: at,
			}})
		}
		for at := start; at.Before(end); at = at.Add(every) {
			send(at, at.Add(valid))
		}
		// Whatever fires again takes the resolved alert's place.
		until := end.Add(resolvedRetention)
		for _, other := range in.Alerts {
			again := time.UnixMilli(other.Start)
			if !again.Before(end) && !again.After(until) && labels.Equal(labelSet(other.Labels)) {
				until = again.Add(-interval)
			}
		}
		for at := end; !at.After(until); at = at.Add(every) {
			send(at, end)
		}
	}
	slices.SortStableFunc(all, func(a, b sent) int { return a.at.Compare(b.at) })
	return all
}

// spent returns how long an evaluation has taken when its alerts are sent: less than a second, and no two
// alike. With all at the same instant it would be open whether a group's timer or its news comes first.
func spent(alert model.Fingerprint, at time.Time) time.Duration {
	hash := fnv.New64a()
	hash.Write([]byte(alert.String()))
	hash.Write([]byte(at.UTC().String()))
	return time.Duration(hash.Sum64() % uint64(time.Second))
}

func labelSet(labels map[string]string) model.LabelSet {
	set := make(model.LabelSet, len(labels))
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set
}

func labelMap(set model.LabelSet) map[string]string {
	labels := make(map[string]string, len(set))
	for name, value := range set {
		labels[string(name)] = string(value)
	}
	return labels
}

package main

import (
	"sync"
	"time"
)

// waits notices when this process had to wait for a processor, for long enough to disturb what Alloy joins
// within a second.
type waits struct {
	mutex sync.Mutex
	last  time.Time
}

var waited waits

const (
	tick = 50 * time.Millisecond
	late = 400 * time.Millisecond
)

func (w *waits) watch() {
	for {
		before := time.Now()
		time.Sleep(tick)
		if time.Since(before) > tick+late {
			w.mutex.Lock()
			w.last = time.Now()
			w.mutex.Unlock()
		}
	}
}

func (w *waits) latest() time.Time {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.last
}

func (w *waits) since(start time.Time) bool { return w.latest().After(start) }

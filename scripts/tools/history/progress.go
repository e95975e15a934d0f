package main

import (
	"fmt"
	"os"
	"time"
)

// progress says on standard error what takes its time, a line every two seconds.
type progress struct {
	last   time.Time
	format string
}

func newProgress() *progress {
	format := "· history: %s\n"
	info, err := os.Stderr.Stat()
	if _, plain := os.LookupEnv("NO_COLOR"); err == nil && info.Mode()&os.ModeCharDevice != 0 && !plain {
		format = "\x1b[2m· history: %s\x1b[0m\n"
	}
	return &progress{last: time.Now(), format: format}
}

func (p *progress) say(format string, args ...any) {
	if time.Since(p.last) >= 2*time.Second {
		p.last = time.Now()
		fmt.Fprintf(os.Stderr, p.format, fmt.Sprintf(format, args...))
	}
}

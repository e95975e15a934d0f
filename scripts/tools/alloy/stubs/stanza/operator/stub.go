// Package operator is a stub: see ../../README.md.
package operator

import "go.opentelemetry.io/collector/confmap"

// Config is never made.
type Config struct{}

// Unmarshal is never called.
func (*Config) Unmarshal(*confmap.Conf) error { return nil }

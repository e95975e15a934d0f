// Package scraperhelper is a stub: see ../README.md.
package scraperhelper

import "time"

// ControllerConfig is never read.
type ControllerConfig struct{ CollectionInterval, InitialDelay, Timeout time.Duration }

// Validate is never called.
func (*ControllerConfig) Validate() error { return nil }

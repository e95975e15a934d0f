// Package split is a stub: see ../../README.md.
package split

// Config is never read.
type Config struct {
	LineStartPattern, LineEndPattern string
	OmitPattern                      bool
}

// Package trim is a stub: see ../../README.md.
package trim

// Config is never read.
type Config struct{ PreserveLeading, PreserveTrailing bool }

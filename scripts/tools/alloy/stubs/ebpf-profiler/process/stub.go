// Package process is a stub: see ../../README.md.
package process

import "io"

// ReadAtCloser is never implemented.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

// Package discover is a stub: see ../README.md.
package discover

import (
	"errors"
	"log"
)

// Provider finds no peer.
type Provider any

// Providers are none.
var Providers = map[string]Provider{}

// Option is never applied.
type Option func(*Discover) error

// WithProviders is never applied.
func WithProviders(map[string]Provider) Option { return nil }

// Discover finds no peer.
type Discover struct{}

// New refuses.
func New(...Option) (*Discover, error) { return nil, errors.New("not built in") }

// Addrs finds no peer.
func (*Discover) Addrs(string, *log.Logger) ([]string, error) { return nil, nil }

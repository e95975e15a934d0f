// Package ext stands in for the module of the same name, which Traefik keeps beside its own in a
// folder that the Go module proxy leaves out: the types that Traefik embeds, which have no fields.
package ext

// HTTP extends nothing.
type HTTP struct{}

// Router extends nothing.
type Router struct{}

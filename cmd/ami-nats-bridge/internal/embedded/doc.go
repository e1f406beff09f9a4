// Package embedded runs a nats-server within the program: by itself, or as a leaf of
// a Hub. Its goroutines are nats-server's; whoever calls Start calls Stop.
//
// It does not read settings: the package env makes the Hub.
package embedded

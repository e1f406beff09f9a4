// Package directget has the words of JetStream's direct get (NATS ADR-31): what
// is asked for, and what the server says in the headers of its answers.
//
// It asks nobody: whoever has a connection does. It starts no goroutine.
package directget

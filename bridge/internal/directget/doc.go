// Package directget has the words of JetStream's direct get (NATS ADR-31): what
// is asked for, and what the server says in the headers of its answers.
package directget

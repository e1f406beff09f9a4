// Package faults has the tests of what becomes of the events when NATS fails:
// a real nats-server in a process of its own, or three of them, is killed,
// frozen, cut off, filled up, under load, and then the stream is read back and
// compared with what the simulated Asterisks sent.
//
// An ordinary go test runs the short ones; make faults runs all of them, and
// writes the table of docs/delivery.md.
package faults

// Package many tests many bridges that divide many Asterisks among them: one is killed, one
// comes, and the events of every Asterisk are stored once, in order. Each bridge is a process
// of its own; the Asterisks and the nats-server are simulated in that of the test.
package many

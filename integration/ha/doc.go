// Package ha tests several bridges that share an Asterisk: any one may be killed, cut off
// or ended at any moment, and each event is stored once, in order, under a numbering that
// goes on. What is told of it is read from the stream.
package ha

// Package config is everything that a bridge needs to know, with the defaults that
// the contract documents and a check that names every problem at once.
//
// It does not read the environment: the program does, by the tags of the fields. It
// reads files that hold credentials of NATS when it is asked for what they have now.
// It starts no goroutine and connects to nothing.
package config

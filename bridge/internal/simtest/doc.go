// Package simtest has simulated Asterisks that listen on loopback, for tests of the
// bridge's rooms.
package simtest

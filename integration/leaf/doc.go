// Package leaf tests the program with a nats-server of its own, which is a leaf
// of a hub.
package leaf

// Package integration tests the whole bridge: a real nats-server in process on
// one side, a real or simulated Asterisk on the other. Nothing imports it.
package integration

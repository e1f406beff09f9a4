// Package security tests who may do what: the users of deploy/nats on a real
// nats-server, and the policy against attacks on a real Asterisk.
package security

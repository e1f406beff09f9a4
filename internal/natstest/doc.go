// Package natstest runs real nats-servers within a test, and what a test asks of
// them.
package natstest

// Package state tests what the bucket AMI_STATE has of what is up at an Asterisk:
// that it is so, whatever became of events, sessions, NATS and the bridge, and who
// may read it.
package state

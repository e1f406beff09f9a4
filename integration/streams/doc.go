// Package streams tests the streams that the bridge makes and keeps: their
// states, their loss, a NATS that stops or freezes, and their replay.
package streams

// Package status tests what the bridge tells of itself: on NATS, over HTTP, in
// the log.
package status

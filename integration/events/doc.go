// Package events tests the way of an event through the whole bridge: what
// Asterisk sent is in the stream once, in order, byte for byte, or a Gap stands
// in its place.
package events

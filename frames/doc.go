// Package frames turns the bytes of Asterisk's Manager Interface into Frames
// and Frames into bytes or JSON. It knows no network, clock or logger.
package frames

// Package frames turns the bytes of Asterisk's Manager Interface into Frames
// and Frames into bytes or JSON. It knows no network, clock or logger, and does
// not know which Action a Response answers.
//
// A Reader and its Frames belong to one goroutine. The functions keep nothing
// and may be called from any.
package frames

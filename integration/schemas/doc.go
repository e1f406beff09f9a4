// Package schemas tests that every message and every reply is as its JSON
// schema says, and that what others build upon (testdata/surface.txt) is as it
// was.
package schemas

// Package terminal knows what may be written to a terminal, and how it fits: it makes
// text from outside harmless, measures it in columns, and lays out tables.
//
// It does not decide what is shown. It starts no goroutine and writes only where it is
// told to.
package terminal

// Package logging makes the program's logger. What repeats itself is summed, secrets
// are taken out, and lines are written by one goroutine, so that nobody who logs ever
// waits for a terminal or a disk: what finds no room is counted.
//
// It does not decide what is worth a line, nor at which level. New is what crosses
// its seam; the goroutine ends with Output.Close.
package logging

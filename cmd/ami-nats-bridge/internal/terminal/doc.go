// Package terminal knows what may be written to a terminal, and how it fits.
package terminal

// Package catalog knows the Actions of Asterisk 1.8 to 23: how each is spelled,
// which headers it takes and whether it only reads. Its table, actions.tsv, says
// how it was made.
//
// It decides nothing: an Action or a header that it does not know may be a newer
// Asterisk's or a foreign module's. All functions may be called from any
// goroutine.
package catalog

// Package catalog knows the Actions of Asterisk 1.8 to 23: how each is spelled,
// which headers it takes and whether it only reads; and the events, with their
// classes. Its tables, actions.tsv and events.tsv, say how they were made.
//
// It decides nothing: an Action, a header or an event that it does not know may
// be a newer Asterisk's or a foreign module's. It starts no goroutine; its
// functions may be called from any.
package catalog

// Package telling knows what of an event or a status matters to whoever reads a line of
// it, as tail, top and the page show it: telling.tsv is the table. Its fields come from
// Asterisk or NATS: the caller says what makes a text harmless where it is shown.
//
// It starts no goroutine; its functions may be called from any.
package telling

// Package reply is what a caller is answered: the body and its headers, the errors
// with their kinds and codes, the parts of a reply that comes as a stream, and the
// masks over secrets in it.
//
// It decides nothing: who calls it knows what Asterisk said, and whether it was
// asked. Sender.Run is its goroutine, so that whoever ends a call never calls NATS;
// the bound of its queue is the calls' own, each of which holds its place until its
// reply is out.
package reply

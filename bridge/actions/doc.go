// Package actions takes requests for Actions from NATS and answers them with what
// Asterisk says: it reads a request, asks whether it is a repeat, whether the policy
// lets it pass and whether the audit has it, gives it to the Link of a server, and
// replies.
//
// It makes nothing up: a reply is Asterisk's own, or an error that says whether the
// Action was sent. It logs in nowhere. What is refused, package policy decides.
//
// A [Service] has one endpoint a server, a group, any and all. An endpoint's requests
// come on the goroutine of its subscription, which waits neither for Asterisk nor for
// JetStream; a request goes on where its call ends, on a reader of AMI or a timer, and
// ends with the goroutine of [reply.Sender]. This package starts none.
//
// Where several bridges share the servers, requests come to endpoints of which this one leads
// a server, and it asks the others for those of theirs ([Others]): elsewhere.go asks, handed.go
// is asked. Whoever leads a server checks, records and writes.
//
// What crosses the seam: a [Target] is the half of a server that this package sees: its
// Link, its policy, its rates. [Options] has the parts that requests pass through.
package actions

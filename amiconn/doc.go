// Package amiconn keeps the sessions to one Asterisk up.
//
// A Session is one login on one connection. It dies once, with a cause, and
// never comes back. A Link owns sequences of them for one server: an event
// session, which sends nothing but Ping, and one action session or more with
// events off, because Asterisk runs the actions of one session one after
// another and holds back that session's events meanwhile (manager.c
// session_do). Losing one never tears down another; all share the server's
// correlation.Table, since an OriginateResponse arrives as an event.
//
// A Session has one goroutine, its reader, and a writer while something waits that nobody
// could write at once. What is due of all sessions of a Link (Pings, silence) is done when a
// timer of the Link says so. The reader only parses, hands over and counts. Whatever it
// calls (Hooks and a call's Done) must not block, because Asterisk ends a session that
// cannot take a write for 100 ms.
//
// It knows no NATS and no environment.
package amiconn

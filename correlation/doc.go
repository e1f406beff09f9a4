// Package correlation knows which Actions are pending on one Asterisk and when
// each of them is complete. A Table holds the pending Calls by ActionID, takes
// the frames that a server sends, builds each reply as JSON while it arrives,
// and ends every Call exactly once: answered, refused by Asterisk, too large,
// timed out, or lost with its session. When an Action is complete is decided by
// the table in rules.go and nothing else.
//
// It opens no connection, writes nothing, knows no NATS and starts no
// goroutine. It never repeats an Action: a Result says whether it reached
// Asterisk, and what to do then is the caller's business.
//
// A Table is safe for concurrent use. Its lock is held for straight-line work
// in memory only; Done is always called without it, by the goroutine that
// ended the Call: the reader that delivered the last frame, the runtime's
// timer, or whoever failed the session. Done must therefore not block.
package correlation

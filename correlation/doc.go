// Package correlation knows which Actions are pending on one Asterisk and when
// each of them is complete. A Table holds the pending Calls by ActionID, takes
// the frames that a server sends, builds each reply as JSON while it arrives, or
// hands it out piece by piece, and ends every Call exactly once: answered,
// refused by Asterisk, too large, timed out, or lost with its session. When an
// Action is complete is decided by the table in rules.go and nothing else; what
// is written around an Action for that, by Fenced.
//
// It opens no connection, writes nothing, knows no NATS and starts no
// goroutine. It never repeats an Action: a Result says whether it reached
// Asterisk, and what to do then is the caller's business.
//
// A Table is safe for concurrent use, but the frames of one session are to be
// delivered one at a time, in their order. Its lock is held for straight-line
// work in memory only; Part and Done are always called without it. Part is called
// by the reader that delivered the frame. Done is called by the goroutine that
// ended the Call: the reader that delivered the last frame, the runtime's timer,
// or whoever failed the session; but if a Part is being handed out just then, by
// its reader, right after. So neither may block.
package correlation

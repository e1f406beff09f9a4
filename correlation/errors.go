package correlation

import "errors"

var (
	// ErrBusy refuses a Call because as many as Limits.Pending are pending or
	// wait for Release. Nothing was sent; try again later.
	ErrBusy = errors.New("too many pending actions")
	// ErrDuplicate refuses a Call whose ActionID is pending already. It is a
	// fault of the caller.
	ErrDuplicate = errors.New("action id is already pending")
	// ErrSessionEnded refuses a Call for a session that FailSession has ended.
	// Nothing was sent.
	ErrSessionEnded = errors.New("session has ended")
)

var (
	// ErrCancelled is the Cause of a list that Asterisk gave up.
	ErrCancelled = errors.New("asterisk cancelled the list")
	// ErrReplyFull is the Cause of a Call that is TooLarge because its reply is
	// over Limits.ReplyBytes, or a part of a stream is.
	ErrReplyFull = errors.New("reply over the limit")
	// ErrTableFull is that of one that is because all bodies together are over
	// Limits.TotalBytes.
	ErrTableFull = errors.New("too many replies are held")
	// ErrPartRefused is that of a stream whose Part was not taken.
	ErrPartRefused = errors.New("part not taken")
	// ErrOriginateFailed is the Cause of an async Originate whose
	// OriginateResponse says so, though its Response was Success.
	ErrOriginateFailed = errors.New("originate failed")
	// ErrUnnamed is the Cause of a Call that ended by Unnamed.
	ErrUnnamed = errors.New("the server answered without an ActionID, so that nobody can be sure whose answer that is")
)

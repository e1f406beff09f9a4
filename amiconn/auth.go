package amiconn

import "github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"

// Auth is how a session logs in.
type Auth uint8

const (
	// AuthMD5 answers a challenge, so that the secret is never on the wire.
	AuthMD5 Auth = iota
	// AuthPlain sends the secret as it is.
	AuthPlain
)

// String returns the spelling that UnmarshalText accepts.
func (a Auth) String() string { return setting.Choice(a, "md5", "plain") }

// UnmarshalText accepts md5 and plain.
func (a *Auth) UnmarshalText(text []byte) error { return setting.Choose(a, text, "md5", "plain") }

package amiconn

import "fmt"

// Auth is how a session logs in.
type Auth uint8

const (
	// AuthMD5 answers a challenge, so that the secret is never on the wire.
	AuthMD5 Auth = iota
	// AuthPlain sends the secret as it is.
	AuthPlain
)

// String returns the spelling that UnmarshalText accepts.
func (a Auth) String() string {
	if a == AuthPlain {
		return "plain"
	}
	return "md5"
}

// UnmarshalText accepts md5 and plain.
func (a *Auth) UnmarshalText(text []byte) error {
	switch string(text) {
	case "md5":
		*a = AuthMD5
	case "plain":
		*a = AuthPlain
	default:
		return fmt.Errorf("wants md5 or plain")
	}
	return nil
}

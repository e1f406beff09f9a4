package frames

import (
	"fmt"
)

// Charset says how a server's bytes are text. AMI itself says nothing of it:
// Asterisk passes on what phones and dialplans gave it.
type Charset uint8

const (
	// UTF8 is what every current Asterisk speaks.
	UTF8 Charset = iota
	// Latin1 is ISO 8859-1, one byte a character.
	Latin1
)

// String returns the name that UnmarshalText takes.
func (c Charset) String() string {
	if c == Latin1 {
		return "latin1"
	}
	return "utf-8"
}

// MarshalText returns the name of c.
func (c Charset) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText sets c from "utf-8" or "latin1".
func (c *Charset) UnmarshalText(text []byte) error {
	switch string(text) {
	case "utf-8":
		*c = UTF8
	case "latin1":
		*c = Latin1
	default:
		return fmt.Errorf("charset %q is neither utf-8 nor latin1", cut(text))
	}
	return nil
}

// AppendText appends s to dst in the bytes of c. A character that c does not
// have is an ErrUnencodable which names the character and not the text, which
// may be a secret; dst is then returned as it was.
func (c Charset) AppendText(dst []byte, s string) ([]byte, error) {
	if c != Latin1 {
		return append(dst, s...), nil
	}
	out := dst
	for _, r := range s {
		if r > 0xFF {
			return dst, fmt.Errorf("%w %v: %U", ErrUnencodable, c, r)
		}
		out = append(out, byte(r))
	}
	return out, nil
}

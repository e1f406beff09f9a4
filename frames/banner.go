package frames

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxBanner is far over the 40 bytes of a real one: a peer that sends more
// before its first line end is no Asterisk.
const maxBanner = 256

// Banner is the line with which a server greets (manager.c session_do). Forks
// of Asterisk change its name; the version is that of AMI.
type Banner struct {
	Name, Version string
}

// ReadBanner reads the Banner. It comes first, is one line without a blank one
// after it, and whatever was received behind it is left for Next. An error that
// wraps io.EOF means that the server closed at once, as Asterisk does over its
// authlimit; a *SyntaxError, that the peer does not speak AMI.
func (r *Reader) ReadBanner() (Banner, error) {
	for {
		received := r.buf[r.start:min(r.end, r.start+maxBanner)]
		if i := bytes.IndexByte(received, '\n'); i >= 0 {
			r.start += i + 1
			return parseBanner(received[:i])
		}
		if len(received) == maxBanner {
			return Banner{}, &SyntaxError{"no line end in 256 bytes", string(received)}
		}
		if err := r.fill(); errors.Is(err, io.EOF) {
			return Banner{}, fmt.Errorf("closed before the banner: %w", r.atEOF(err))
		} else if err != nil {
			return Banner{}, err
		}
	}
}

func parseBanner(line []byte) (Banner, error) {
	for i, c := range line {
		if c != '/' {
			continue
		}
		version := line[i+1:]
		if end := bytes.IndexAny(version, " \t\r\v\f"); end >= 0 {
			version = version[:end]
		}
		if len(version) > 0 {
			return Banner{Name: string(line[:i]), Version: string(version)}, nil
		}
	}
	return Banner{}, &SyntaxError{"no /version", string(line)}
}

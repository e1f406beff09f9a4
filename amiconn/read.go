package amiconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// read is the reader: it hands over frame after frame until the connection
// ends, and says why it did unless somebody else has.
func (s *Session) read() {
	defer func() {
		if p := recover(); p != nil {
			s.end(ReasonRead, s.panicked(p))
		}
	}()
	for {
		f, err := s.frames.Next()
		switch {
		case err == nil, errors.Is(err, frames.ErrFrameTooLarge):
			s.guard(f)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			s.end(ReasonClosed, err)
			return
		default:
			s.end(ReasonRead, err)
			return
		}
	}
}

// next returns the next frame, for the login.
func (s *Session) next() (f *frames.Frame, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, s.panicked(p)
		}
	}()
	return s.frames.Next()
}

// panicked returns the error of a reader that did. It ends the session: where in the input
// the reader is is not known then.
func (s *Session) panicked(p any) error {
	s.counts.panics.Add(1)
	s.log().Error("reader panicked", zap.String("cause", fmt.Sprint(p)), zap.Stack("stack"))
	return fmt.Errorf("the reader panicked: %v", p)
}

// guard handles one frame and keeps a panic in it: the frame is lost, the
// Session goes on.
func (s *Session) guard(f *frames.Frame) {
	defer func() {
		if p := recover(); p != nil {
			s.counts.panics.Add(1)
			s.log().Error("frame handler panicked", zap.String("cause", fmt.Sprint(p)),
				zap.ByteString("frame", f.Name()), zap.Stack("stack"))
		}
	}()
	s.handle(f)
}

// handle hands a frame to whoever it is for.
func (s *Session) handle(f *frames.Frame) {
	switch f.Kind() {
	case frames.KindEvent:
		switch {
		case correlation.Async(f):
			// Neither loses it by a panic of the other.
			defer s.table.Deliver(s.Token, f)
			s.event(f)
		case !s.table.Deliver(s.Token, f):
			s.event(f)
		default:
			s.answered()
		}
	case frames.KindResponse:
		if s.answersUs(f) {
			s.answered()
		}
		if s.isPong(f) {
			s.pong(f)
			s.rest()
			s.table.Answered(s.Token)
			return
		}
		if string(f.Name()) == "Goodbye" {
			s.parted()
			return
		}
		s.table.Deliver(s.Token, f)
		if s.nameless && !f.Continues && answers(f, "", "") {
			s.table.Unnamed(s.Token)
		}
	default:
		// Raw text is the answer to a few Actions, and otherwise the rest of a
		// frame that an overloaded Asterisk cut.
		if s.table.Deliver(s.Token, f) {
			s.answered()
			return
		}
		s.event(f)
		if s.hooks.Corrupt != nil {
			s.hooks.Corrupt(f.Size)
		}
	}
}

// answered notes that the server is at this session's Actions.
func (s *Session) answered() { s.answeredAt.Store(s.lastRead.Load()) }

// answersUs reports whether the Response f, or a piece of one, may answer an Action of this
// session's, be it one whose caller has given up.
func (s *Session) answersUs(f *frames.Frame) bool {
	id := f.Get("ActionID")
	return f.Continues || len(id) == 0 || bytes.Contains(id, []byte(s.Token))
}

// parted ends the Session as the server has said Goodbye. Only who has logged off has asked for
// it: from any other it is the server's own doing.
func (s *Session) parted() {
	if s.left.Load() {
		s.end(ReasonShutdown, errLoggedOff)
		return
	}
	s.end(ReasonClosed, errGoodbye)
}

// event numbers and hands over what came as an event, or in the place of one.
func (s *Session) event(f *frames.Frame) {
	if s.Role == RoleActions {
		return
	}
	s.seq++
	if s.hooks.Event != nil {
		s.hooks.Event(Event{Session: s.Token, Seq: s.seq, At: s.readAt, Frame: f})
	}
}

// isPong says whether the Response f answers our Ping. A server that names no
// ActionID in its Pongs has at most this one Ping of ours to answer so: others' are
// refused there.
func (s *Session) isPong(f *frames.Frame) bool {
	id := f.Get("ActionID")
	if len(id) == 0 && f.Get("Ping") != nil {
		s.nameless = true
		s.namelessPong.Store(true)
		return s.pingAt.Load() != 0
	}
	return string(id) == s.pingID
}

// rest has the buffers of a session be small that says nothing but Pongs.
func (s *Session) rest() {
	before := s.pongs
	if s.pongs = s.frames.Stats().Frames; s.pongs == before+1 {
		s.frames.Rest()
	}
}

// pong notes the answer to a Ping and how far the server's clock is ahead. Its
// Timestamp has microseconds (manager.c action_ping).
func (s *Session) pong(f *frames.Frame) {
	sent := s.born.Add(time.Duration(s.pingAt.Swap(0)))
	seconds, fraction, _ := strings.Cut(string(f.Get("Timestamp")), ".")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return
	}
	micros, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil {
		micros = 0
	}
	server := time.Unix(sec, micros*1000)
	s.skew.Store(int64(time.Until(server)))
	if s.hooks.Clock != nil && s.Role != RoleActions {
		s.hooks.Clock(Clock{Born: s.born, Sent: sent, Received: s.readAt, Server: server})
	}
}

// timedOut reports whether err is a deadline that passed.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

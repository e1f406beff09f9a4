package amisim

import (
	"bytes"
	"strings"
	"time"
)

// Accept is the point, in place of an action's name, at which a session begins
// and the banner is due.
const Accept = "(accept)"

// Any is the point, for Always only, of every action that has no Fault of its
// own. Accept is not one.
const Any = "*"

// Fault takes the place of the answer to an action. It runs in the session's
// own goroutine, so that nothing else is answered or sent until it returns. It
// does what it likes with the session: s.Serve(a) answers as usual, s.Reply(a)
// gives the bytes of the usual answer, s.Write sends any bytes, s.Sleep,
// s.Stall, s.Close and s.Abort do what they say.
type Fault func(s *Session, a *Action)

type script struct {
	next   []Fault
	always Fault
}

// Next sets what happens the next times that point, an action's name in any
// case, or Accept, is reached: one Fault each time, after those set before;
// nil is the usual answer.
func (s *Server) Next(point string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.script(point)
	sc.next = append(sc.next, faults...)
}

// Always sets what happens every time that point is reached and no Fault of
// Next is left; nil is the usual answer.
func (s *Server) Always(point string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script(point).always = f
}

func (s *Server) script(point string) *script {
	key := strings.ToLower(point)
	if s.scripts[key] == nil {
		s.scripts[key] = new(script)
	}
	return s.scripts[key]
}

func (s *Server) fault(point string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scripts[strings.ToLower(point)]
	switch {
	case sc != nil && len(sc.next) > 0:
		f := sc.next[0]
		sc.next = sc.next[1:]
		return f
	case sc != nil && sc.always != nil:
		return sc.always
	case point != Accept && point != Any && s.scripts[Any] != nil:
		return s.scripts[Any].always
	}
	return nil
}

// Refuse closes the connection: at Accept without a banner, as Asterisk does
// over its authlimit.
func Refuse(s *Session, _ *Action) { s.Close() }

// Reset aborts the connection.
func Reset(s *Session, _ *Action) { s.Abort() }

// Stall never answers, and sends no events either.
func Stall(s *Session, _ *Action) { s.Stall() }

// Ignore does not answer, and goes on with the next action.
func Ignore(*Session, *Action) {}

// Delay answers d later, which holds up the session.
func Delay(d time.Duration) Fault {
	return func(s *Session, a *Action) {
		s.Sleep(d)
		s.Serve(a)
	}
}

// Say answers with text instead of performing the action. Line ends are text's
// own.
func Say(text string) Fault {
	return func(s *Session, _ *Action) { s.Write([]byte(text)) }
}

// Deny answers Error with message instead of performing the action. A Login's
// session is then closed, as Asterisk does.
func Deny(message string) Fault {
	return func(s *Session, a *Action) {
		r := &reply{sess: s, srv: s.srv, a: a}
		r.fail(message)
		s.Write(r.out)
		s.closing = strings.EqualFold(a.Name, "Login")
	}
}

// Before answers as usual, after some other bytes.
func Before(garbage string) Fault {
	return Rewrite(func(b []byte) []byte { return append([]byte(garbage), b...) })
}

// After answers as usual, with other bytes right behind.
func After(garbage string) Fault {
	return Rewrite(func(b []byte) []byte { return append(b, garbage...) })
}

// Twice answers twice.
func Twice() Fault { return Rewrite(func(b []byte) []byte { return append(b, b...) }) }

// BareLF answers with LF for line ends.
func BareLF() Fault {
	return Rewrite(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) })
}

// Rewrite performs the action and answers with what f makes of the answer.
func Rewrite(f func(answer []byte) []byte) Fault {
	return func(s *Session, a *Action) { s.Write(f(s.Reply(a))) }
}

// WithActionID answers as if to the action of another ID; "" leaves it out.
func WithActionID(id string) Fault {
	return func(s *Session, a *Action) {
		other := *a
		other.ActionID = id
		s.Serve(&other)
	}
}

// CutAfter answers with the first n bytes only and closes.
func CutAfter(n int) Fault {
	return func(s *Session, a *Action) {
		b := s.Reply(a)
		s.Write(b[:min(n, len(b))])
		s.Close()
	}
}

// Drip answers n bytes at a time, each after a pause.
func Drip(n int, pause time.Duration) Fault {
	return func(s *Session, a *Action) {
		for b := s.Reply(a); len(b) > 0 && !s.ended(); b = b[min(n, len(b)):] {
			s.Sleep(pause)
			s.Write(b[:min(n, len(b))])
		}
	}
}

// Oversize answers with one header more, of n bytes.
func Oversize(n int) Fault {
	return Rewrite(func(b []byte) []byte {
		b = append(bytes.TrimSuffix(b, []byte("\r\n")), "Padding: "...)
		return append(append(b, bytes.Repeat([]byte("x"), n)...), "\r\n\r\n"...)
	})
}

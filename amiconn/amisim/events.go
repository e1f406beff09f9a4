package amisim

import (
	"context"
	"strings"
)

// Emit sends one asynchronous event, given as keys and values of which the
// first is "Event", to every session that wants its class. After the name come
// Privilege (call, unless the headers have one), Timestamp and SystemName, as
// __manager_event_sessions_va puts them. Emit does not block: events queue up
// per session, and a session that lets 16 MiB of them pile up is cut. All
// sessions get the events of all Emits in the same order.
func (s *Server) Emit(headers ...string) {
	if len(headers) < 2 {
		return
	}
	class := "call"
	rest := make([]string, 0, len(headers))
	for i := 2; i+1 < len(headers); i += 2 {
		if strings.EqualFold(headers[i], "Privilege") {
			class, _, _ = strings.Cut(headers[i+1], ",")
			continue
		}
		rest = append(rest, headers[i], headers[i+1])
	}
	event := s.beginEvent(nil, headers[1], class)
	s.broadcast(class, append(appendHeaders(event, rest), "\r\n"...))
}

// EmitRaw sends bytes as they are, in order with the events, to every session
// that has any events on: garbage, part of a frame, or many frames at once. b
// must not be changed afterwards.
func (s *Server) EmitRaw(b []byte) {
	s.each(func(sess *Session) { sess.enqueue("", b) })
}

// Emitted returns how many events have been sent, each counted once however
// many sessions took it.
func (s *Server) Emitted() int64 { return s.emitted.Load() }

func (s *Server) beginEvent(dst []byte, name, class string) []byte {
	if s.cfg.Proxy != "" {
		dst = appendHeaders(dst, []string{"Server", s.cfg.Proxy})
	}
	dst = append(append(dst, "Event: "...), name...)
	dst = append(append(dst, "\r\nPrivilege: "...), class...)
	dst = append(dst, ",all\r\n"...)
	if s.cfg.TimestampEvents {
		dst = appendTimestamp(append(dst, "Timestamp: "...), s.now())
		dst = append(dst, "\r\n"...)
	}
	if s.cfg.SystemName != "" {
		dst = append(append(dst, "SystemName: "...), s.cfg.SystemName...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// broadcast queues an event for all sessions that want its class.
func (s *Server) broadcast(class string, event []byte) {
	s.emitted.Add(1)
	s.each(func(sess *Session) { sess.enqueue(class, event) })
}

// awaitRoom waits until no session has much queued.
func (s *Server) awaitRoom(ctx context.Context) error {
	return s.wait(ctx, func() bool {
		backlogged := false
		s.each(func(sess *Session) { backlogged = backlogged || sess.backlogged() })
		return !backlogged
	})
}

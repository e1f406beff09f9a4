package amisim

import (
	"cmp"
	"strconv"
	"strings"
)

// originate is manager.c action_originate, with the fate of the call from
// Config.Originate.
func originate(r *reply) {
	switch {
	case r.a.Get("Channel") == "":
		r.fail("Channel not specified")
		return
	case r.a.Get("Application") == "" && r.a.Get("Exten") == "":
		r.fail("Originate with 'Exten' requires 'Context' and 'Priority'")
		return
	}
	fate := r.srv.cfg.Originate(r.a)
	event := r.originateResponse(fate)
	if strings.EqualFold(r.a.Get("Async"), "true") {
		r.srv.schedule.after(fate.Answer, func() { r.srv.broadcast("call", event()) })
		r.sess.Sleep(fate.Ack)
		r.ok("Message", "Originate successfully queued")
		return
	}
	r.sess.Sleep(fate.Answer)
	if fate.Failed {
		r.fail("Originate failed")
		return
	}
	r.ok("Message", "Originate successfully queued")
}

// originateResponse returns the event of an asynchronous Originate, to be
// built when it is sent.
func (r *reply) originateResponse(fate Originated) func() []byte {
	s, a := r.srv, r.a
	return func() []byte {
		response, reason, id := "Success", cmp.Or(fate.Reason, 4), ""
		if fate.Failed {
			response, reason, id = "Failure", fate.Reason, "<unknown>"
		}
		channel := a.Get("Channel")
		if !fate.Failed {
			c := s.newChannel(channel, a.Get("Context"), a.Get("Exten"))
			id, channel = c.uniqueid, c.name
		}
		event := s.beginEvent(nil, "OriginateResponse", "call")
		event = appendHeaders(event, []string{"ActionID", a.ActionID, "Response", response, "Channel", channel})
		if app := a.Get("Application"); app != "" {
			event = appendHeaders(event, []string{"Application", app, "Data", a.Get("Data")})
		} else {
			event = appendHeaders(event, []string{"Context", a.Get("Context"), "Exten", a.Get("Exten")})
		}
		num, name := callerID(a.Get("CallerID"))
		event = appendHeaders(event, []string{"Reason", strconv.Itoa(reason), "Uniqueid", id,
			"CallerIDNum", num, "CallerIDName", name})
		return append(event, "\r\n"...)
	}
}

// callerID takes apart `"Name" <number>`.
func callerID(s string) (num, name string) {
	name, num, found := strings.Cut(s, "<")
	if !found {
		name, num = "", s
	}
	num = strings.TrimSuffix(strings.TrimSpace(num), ">")
	name = strings.Trim(name, ` "`)
	return cmp.Or(num, "<unknown>"), cmp.Or(name, "<unknown>")
}

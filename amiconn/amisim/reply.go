package amisim

import (
	"cmp"
	"strconv"
	"strings"
)

// reply builds what one action is answered with.
type reply struct {
	sess *Session
	srv  *Server
	a    *Action
	out  []byte
}

// perform looks the action up as manager.c process_message does.
func (r *reply) perform() {
	if r.a.Name == Accept {
		name := "Asterisk Call Manager"
		if r.srv.cfg.Proxy != "" {
			name += " Proxy"
		}
		r.out = append(r.out, name+"/"+r.srv.cfg.Version+"\r\n"...)
		return
	}
	if name := strings.ToLower(r.a.Name); r.srv.cfg.NoActionID && (name == "challenge" || name == "login" || name == "ping") {
		without := *r.a
		without.ActionID = ""
		r.a = &without
	}
	row, known := r.srv.actions[strings.ToLower(r.a.Name)]
	switch {
	case r.a.defect != "":
		r.fail(r.a.defect)
	case r.a.Name == "":
		r.fail("Missing action in request")
	case known && row.free:
		row.run(r)
	case !r.sess.loggedIn.Load():
		r.fail("Permission denied")
	case known:
		row.run(r)
	default:
		r.fail("Invalid/unknown command: " + r.a.Name[:min(len(r.a.Name), 400)] +
			". Use Action: ListCommands to show available commands.")
	}
}

// frame appends a frame of keys and values. An ActionID is left out if the
// action had none.
func (r *reply) frame(headers ...string) {
	r.headers(headers...)
	r.out = append(r.out, "\r\n"...)
}

func (r *reply) headers(headers ...string) {
	if proxy := r.srv.cfg.Proxy; proxy != "" && len(headers) > 1 && (headers[0] == "Response" || headers[0] == "Event") {
		r.out = appendHeaders(r.out, []string{"Server", proxy})
		if len(headers) > 3 && headers[2] == "ActionID" {
			headers = append([]string{headers[2], headers[3], headers[0], headers[1]}, headers[4:]...)
		}
	}
	r.out = appendHeaders(r.out, headers)
}

func appendHeaders(dst []byte, headers []string) []byte {
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "ActionID" && headers[i+1] == "" {
			continue
		}
		dst = append(dst, headers[i]...)
		dst = append(dst, ": "...)
		dst = append(dst, headers[i+1]...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// ok answers Success with headers (astman_start_ack).
func (r *reply) ok(headers ...string) {
	r.headers("Response", "Success", "ActionID", r.a.ActionID)
	r.frame(headers...)
}

// fail is astman_send_error.
func (r *reply) fail(message string) {
	r.frame("Response", "Error", "ActionID", r.a.ActionID, "Message", message)
}

// list builds a list: start, items, end.
type list struct {
	*reply
	plain bool // the form without EventList
	n     int
}

// start begins a list. before13 marks those that had no EventList before
// Asterisk 13.2 (commit 52a7cdb101).
func (r *reply) start(message string, before13 bool) *list {
	l := &list{reply: r, plain: before13 && r.srv.cfg.oldLists()}
	if l.plain {
		r.ok("Message", message)
	} else {
		r.ok("EventList", "start", "Message", message)
	}
	return l
}

// item adds an event to the list, with its ActionID where the headers say.
func (l *list) item(event string, headers ...string) {
	l.n++
	l.headers("Event", event)
	l.frame(headers...)
}

// end ends the list.
func (l *list) end(event string, extra ...string) {
	l.headers("Event", event, "ActionID", l.a.ActionID)
	if !l.plain {
		l.headers("EventList", "Complete", "ListItems", strconv.Itoa(l.n))
	}
	l.frame(extra...)
}

// ack answers Success at once, or Error if one of the required headers is
// missing.
func ack(message string, required ...string) func(*reply) {
	return func(r *reply) {
		for _, key := range required {
			if r.a.Get(key) == "" {
				r.fail("'" + key + "' not specified.")
				return
			}
		}
		r.ok("Message", message)
	}
}

func listCommands(r *reply) {
	var headers []string
	for _, row := range table() {
		if _, has := r.srv.actions[strings.ToLower(row.name)]; !has {
			continue
		}
		headers = append(headers, row.name, cmp.Or(row.help, row.name)+".  (Priv: <none>)")
	}
	r.ok(headers...)
}

package amisim

import (
	"fmt"
	"strconv"
	"strings"
)

// The actions here answer like no other: with raw text, with no Response, or
// with several.

// queuesText prints the queues as the command line does, with blank lines in
// between and at the end (app_queue.c manager_queues_show, up to Asterisk 14).
func queuesText(r *reply) {
	for _, q := range r.queues() {
		waiting := r.waiting(q.Name)
		r.line("%s has %d calls (max unlimited) in 'ringall' strategy (0s holdtime, 0s talktime), W:0, C:0, A:0, SL:0.0%% within 0s",
			q.Name, len(waiting))
		r.line("   Members: ")
		for _, m := range q.Members {
			r.line("      %s (%s) (Not in use) has taken no calls yet", m.Name, m.Interface)
		}
		if len(waiting) == 0 {
			r.line("   No Callers")
		} else {
			r.line("   Callers: ")
		}
		for i, c := range waiting {
			r.line("      %d. %s (wait: 0:00, prio: 0)", i+1, c.name)
		}
		r.line("")
	}
	r.line("\r\n")
}

func (r *reply) line(format string, args ...any) {
	r.out = fmt.Appendf(r.out, format, args...)
	r.out = append(r.out, "\r\n"...)
}

// iaxNetstats prints a line for each IAX2 channel, which ends in LF, and a blank
// one (chan_iax2.c manager_iax2_show_netstats).
func iaxNetstats(r *reply) {
	for _, c := range r.srv.live.all() {
		if strings.HasPrefix(c.name, "IAX2/") {
			r.out = fmt.Appendf(r.out, "%-20.25s %4d %4d %4d %5.1f %3d %5.1f\n", c.name, 12, 0, 0, 0.0, 0, 0.0)
		}
	}
	r.out = append(r.out, "\r\n"...)
}

// dataGet answers with an event alone (data.c manager_data_get, up to Asterisk
// 14).
func dataGet(r *reply) {
	if r.a.Get("Path") == "" {
		r.fail("'Path' parameter not specified")
		return
	}
	r.frame("Event", "DataGet Tree", "ActionID", r.a.ActionID, "0-"+r.a.Get("Path")+".count", strconv.Itoa(len(r.srv.cfg.Queues)))
}

// jabberSend first says that it will try, and then how it went (res_xmpp.c
// manager_jabber_send).
func jabberSend(r *reply) {
	for _, key := range []string{"Jabber", "ScreenName", "Message"} {
		if r.a.Get(key) == "" {
			r.fail("No " + key + " specified")
			return
		}
	}
	r.ok("Message", "Attempting to send Jabber Message")
	if strings.Contains(r.a.Get("ScreenName"), "@") {
		r.ok()
	} else {
		r.frame("Response", "Error", "ActionID", r.a.ActionID)
	}
}

// moduleLoad refuses a request once for each thing that is wrong with it
// (manager.c manager_moduleload).
func moduleLoad(r *reply) {
	kind := strings.ToLower(r.a.Get("LoadType"))
	missing := r.a.Get("Module") == "" && kind != "reload"
	if kind == "" {
		r.fail("Incomplete ModuleLoad action.")
	}
	if missing {
		r.fail("Need module name")
	}
	switch {
	case kind != "load" && kind != "unload" && kind != "reload":
		r.fail("Incomplete ModuleLoad action.")
	case missing:
		r.fail("Could not " + kind + " module.")
	default:
		r.ok("Message", "Module "+kind+"ed.")
	}
}

// priDebugSet goes on after it has refused a bad span (chan_dahdi.c
// action_pri_debug_set).
func priDebugSet(r *reply) {
	if span, err := strconv.Atoi(r.a.Get("Span")); err != nil || span < 1 {
		r.fail("Invalid span")
	}
	r.fail("No PRI running on span")
}

// faxSession leaves its event out for a session that it can say nothing about,
// here number 0 (res_fax.c manager_fax_session).
func faxSession(r *reply) {
	number := r.a.Get("SessionNumber")
	if number == "" {
		r.fail("Invalid session ID")
		return
	}
	r.ok("Message", "FAXSession event will follow")
	if number != "0" {
		r.frame("Event", "FAXSession", "ActionID", r.a.ActionID, "SessionNumber", number)
	}
}

// queueRule ends with two blank lines (app_queue.c manager_queue_rule_show).
func queueRule(r *reply) {
	r.ok("RuleList", "default", "Rule", "10,+5,-5", "Rule", "20,+10,-10")
	r.out = append(r.out, "\r\n"...)
}

// ListChannels answers with a CoreShowChannels list of n channels, whatever
// channels there are, without holding it in memory.
func ListChannels(n int) Fault {
	return func(s *Session, a *Action) {
		r := &reply{sess: s, srv: s.srv, a: a}
		l := r.start("Channels will follow", false)
		for i := range n {
			l.item("CoreShowChannel", "ActionID", a.ActionID, "Channel", fmt.Sprintf("PJSIP/many-%08x", i),
				"ChannelState", "6", "ChannelStateDesc", "Up", "CallerIDNum", strconv.Itoa(1000+i),
				"CallerIDName", "<unknown>", "Context", "from-internal", "Exten", "600", "Priority", "1",
				"Uniqueid", fmt.Sprintf("1795422104.%d", i), "Linkedid", fmt.Sprintf("1795422104.%d", i),
				"Application", "Dial", "ApplicationData", "PJSIP/zoe", "Duration", "00:00:12", "BridgeId", "")
			if len(l.out) >= writeSize {
				s.Write(l.out)
				l.out = l.out[:0]
			}
			if s.ended() {
				return
			}
		}
		l.end("CoreShowChannelsComplete")
		s.Write(l.out)
	}
}

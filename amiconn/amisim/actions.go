package amisim

import (
	"strconv"
	"time"
)

// row is an action that the Server knows.
type row struct {
	name string
	run  func(*reply)
	help string // what ListCommands says
	free bool   // works before the login
	last int    // the last major version of AMI that has it, 0 if all do
}

func table() []row {
	return []row{
		{name: "Challenge", run: challenge, free: true, help: "Generate Challenge for MD5 Auth"},
		{name: "Login", run: login, free: true, help: "Login Manager"},
		{name: "Logoff", run: logoff, free: true, help: "Logoff Manager"},
		{name: "Events", run: events, help: "Control Event Flow"},
		{name: "Ping", run: ping, help: "Keepalive command"},
		{name: "ListCommands", run: listCommands, help: "List available manager commands"},
		{name: "CoreStatus", run: coreStatus, help: "Show PBX core status variables"},
		{name: "CoreSettings", run: coreSettings, help: "Show PBX core settings (version etc)"},
		{name: "Command", run: command, help: "Execute Asterisk CLI Command"},
		{name: "Getvar", run: getvar, help: "Gets a channel variable or function value"},
		{name: "Setvar", run: setvar, help: "Sets a channel variable or function value"},
		{name: "Originate", run: originate, help: "Originate a call"},
		{name: "UserEvent", run: userEvent, help: "Send an arbitrary event"},
		{name: "Hangup", run: hangup, help: "Hangup channel"},

		{name: "CoreShowChannels", run: coreShowChannels},
		{name: "CoreShowChannelMap", run: coreShowChannelMap},
		{name: "Status", run: status},
		{name: "QueueStatus", run: queueStatus},
		{name: "QueueSummary", run: queueSummary},
		{name: "PJSIPShowEndpoints", run: pjsipShowEndpoints},
		{name: "PJSIPShowEndpoint", run: pjsipShowEndpoint},
		{name: "DeviceStateList", run: deviceStateList},
		{name: "IAXpeers", run: iaxPeers},
		{name: "ParkedCalls", run: parkedCalls},
		{name: "VoicemailUsersList", run: ack("There are no voicemail users currently defined.")},

		{name: "DataGet", run: dataGet, last: 3},
		{name: "FAXSession", run: faxSession},
		{name: "IAXnetstats", run: iaxNetstats},
		{name: "JabberSend", run: jabberSend},
		{name: "ModuleLoad", run: moduleLoad},
		{name: "PRIDebugSet", run: priDebugSet},
		{name: "QueueRule", run: queueRule},
		{name: "Queues", run: queuesText, last: 3},

		{name: "Atxfer", run: ack("Atxfer successfully queued", "Channel", "Exten")},
		{name: "Bridge", run: ack("Channels have been bridged", "Channel1", "Channel2")},
		{name: "LoggerRotate", run: ack("Reloaded the logger and rotated log files")},
		{name: "PlayDTMF", run: ack("DTMF successfully queued", "Channel", "Digit")},
		{name: "QueueAdd", run: ack("Added interface to queue", "Queue", "Interface")},
		{name: "QueueLog", run: ack("Event added successfully", "Queue", "Event")},
		{name: "QueuePause", run: ack("Interface paused successfully", "Interface", "Paused")},
		{name: "QueuePenalty", run: ack("Interface penalty set successfully", "Interface", "Penalty")},
		{name: "QueueReload", run: ack("Queue reloaded successfully")},
		{name: "QueueRemove", run: ack("Removed interface from queue", "Queue", "Interface")},
		{name: "Redirect", run: ack("Redirect successful", "Channel", "Exten", "Context", "Priority")},
		{name: "Reload", run: ack("Module Reloaded")},
		{name: "SendText", run: ack("Success", "Channel", "Message")},
	}
}

func ping(r *reply) { r.ok("Ping", "Pong", "Timestamp", timestamp(r.srv.now())) }

// timestamp is seconds and microseconds, as "%ld.%06lu" prints them.
func timestamp(t time.Time) string { return string(appendTimestamp(nil, t)) }

func appendTimestamp(dst []byte, t time.Time) []byte {
	dst = strconv.AppendInt(dst, t.Unix(), 10)
	micros := t.Nanosecond() / 1000
	dst = append(dst, '.')
	for scale := 100_000; scale > 0; scale /= 10 {
		dst = append(dst, byte('0'+micros/scale%10))
	}
	return dst
}

func coreStatus(r *reply) {
	date, clock := r.srv.started.Format(time.DateOnly), r.srv.started.Format(time.TimeOnly)
	calls := strconv.Itoa(len(r.srv.live.all()) / 2)
	r.ok("CoreStartupDate", date, "CoreStartupTime", clock,
		"CoreReloadDate", date, "CoreReloadTime", clock,
		"CoreCurrentCalls", calls, "CoreProcessedCalls", strconv.FormatInt(r.srv.channels.Load()/2, 10))
}

func coreSettings(r *reply) {
	r.ok("AMIversion", r.srv.cfg.Version, "AsteriskVersion", "amisim-"+r.srv.cfg.Version,
		"SystemName", r.srv.cfg.SystemName, "CoreMaxCalls", "0", "CoreMaxLoadAvg", "0.000000",
		"CoreRunUser", "", "CoreRunGroup", "", "CoreMaxFilehandles", "0",
		"CoreRealTimeEnabled", "No", "CoreCDRenabled", "Yes", "CoreHTTPenabled", "No",
		"SoundsSearchCustomDir", "No")
}

// userEvent acknowledges, and broadcasts all headers of the request but Action
// and UserEvent, the ActionID included.
func userEvent(r *reply) {
	name := r.a.Get("UserEvent")
	if name == "" {
		r.fail("Missing UserEvent")
		return
	}
	r.ok("Message", "Event Sent")
	event := r.srv.beginEvent(nil, "UserEvent", "user")
	event = appendHeaders(event, []string{"UserEvent", name})
	for _, line := range r.a.Lines {
		if _, skip := headerValue(line, "Action"); skip {
			continue
		}
		if _, skip := headerValue(line, "UserEvent"); skip {
			continue
		}
		event = append(append(event, line...), "\r\n"...)
	}
	r.srv.broadcast("user", append(event, "\r\n"...))
}

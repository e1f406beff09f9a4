package amisim

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// BrokenEndpoint is an endpoint for which PJSIPShowEndpoint sends an Error in
// the middle of its list, and then completes it (res_pjsip
// ami_show_endpoint).
const BrokenEndpoint = "broken"

// channelItem adds an item with a channel in it: as CoreShowChannel has it, or
// as Status does, whose ActionID is among the last headers.
func (l *list) channelItem(event string, c *channel, actionIDFirst bool, headers ...string) {
	l.n++
	l.headers("Event", event)
	if actionIDFirst {
		l.headers("ActionID", l.a.ActionID)
	} else {
		l.headers("Privilege", "Call")
	}
	l.out = c.appendTo(l.out, "")
	l.frame(headers...)
}

func coreShowChannels(r *reply) {
	l := r.start("Channels will follow", false)
	for _, c := range r.srv.live.all() {
		l.channelItem("CoreShowChannel", &c, true, "Application", c.app, "ApplicationData", c.data,
			"Duration", c.duration(), "BridgeId", c.bridge)
	}
	l.end("CoreShowChannelsComplete")
}

// coreShowChannelMap fails after its start for a channel that is not there,
// and then sends no completion (manager.c action_coreshowchannelmap).
func coreShowChannelMap(r *reply) {
	l := r.start("Channel map will follow", false)
	c, found := r.srv.live.find(r.a.Get("Channel"))
	if !found {
		r.fail("Could not get channel\n")
		return
	}
	for _, other := range r.srv.live.all() {
		if other.linkedid == c.linkedid && other.uniqueid != c.uniqueid {
			l.item("CoreShowChannelMap", "ActionID", r.a.ActionID, "Bridge", c.bridge, "ConnectedChannel", other.name)
		}
	}
	l.end("CoreShowChannelMapComplete")
}

// status lists channels; its items have the ActionID last.
func status(r *reply) {
	l := r.start("Channel status will follow", true)
	for _, c := range r.srv.live.all() {
		if name := r.a.Get("Channel"); name != "" && !strings.EqualFold(name, c.name) {
			continue
		}
		tech, _, _ := strings.Cut(c.name, "/")
		l.channelItem("Status", &c, false, "Type", tech, "DNID", c.exten,
			"EffectiveConnectedLineNum", c.connNum, "EffectiveConnectedLineName", c.connName,
			"TimeToHangup", "0", "BridgeID", c.bridge, "Application", c.app, "Data", c.data,
			"Nativeformats", "(ulaw)", "Readformat", "ulaw", "Readtrans", "", "Writeformat", "ulaw", "Writetrans", "",
			"Callgroup", "0", "Pickupgroup", "0",
			"Seconds", strconv.Itoa(int(time.Since(c.created).Seconds())), "ActionID", r.a.ActionID)
	}
	l.end("StatusComplete", "Items", strconv.Itoa(l.n))
}

// queues are those that the action asks for: an unknown one gives an empty
// list (app_queue.c manager_queues_status).
func (r *reply) queues() (queues []Queue) {
	for _, q := range r.srv.cfg.Queues {
		if name := r.a.Get("Queue"); name == "" || strings.EqualFold(name, q.Name) {
			queues = append(queues, q)
		}
	}
	return queues
}

func (r *reply) waiting(queue string) (waiting []channel) {
	for _, c := range r.srv.live.all() {
		if c.queue == queue {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

func queueStatus(r *reply) {
	l := r.start("Queue status will follow", true)
	login := strconv.FormatInt(r.srv.started.Unix(), 10)
	for _, q := range r.queues() {
		waiting := r.waiting(q.Name)
		l.item("QueueParams", "Queue", q.Name, "Max", "0", "Strategy", "ringall",
			"Calls", strconv.Itoa(len(waiting)), "Holdtime", "0", "TalkTime", "0", "Completed", "0", "Abandoned", "0",
			"ServiceLevel", "0", "ServicelevelPerf", "0.0", "ServicelevelPerf2", "0.0", "Weight", "0",
			"ActionID", r.a.ActionID)
		for _, m := range q.Members {
			l.item("QueueMember", "Queue", q.Name, "Name", m.Name, "Location", m.Interface,
				"StateInterface", m.Interface, "Membership", "static", "Penalty", "0", "CallsTaken", "0",
				"LastCall", "0", "LastPause", "0", "LoginTime", login, "InCall", "0", "Status", "1",
				"Paused", "0", "PausedReason", "", "Wrapuptime", "0", "ActionID", r.a.ActionID)
		}
		for i, c := range waiting {
			l.item("QueueEntry", "Queue", q.Name, "Position", strconv.Itoa(i+1), "Channel", c.name,
				"Uniqueid", c.uniqueid, "CallerIDNum", c.num, "CallerIDName", c.callerName,
				"ConnectedLineNum", c.connNum, "ConnectedLineName", c.connName,
				"Wait", strconv.Itoa(int(time.Since(c.created).Seconds())), "Priority", "0", "ActionID", r.a.ActionID)
		}
	}
	l.end("QueueStatusComplete")
}

func queueSummary(r *reply) {
	l := r.start("Queue summary will follow", true)
	for _, q := range r.queues() {
		members := strconv.Itoa(len(q.Members))
		l.item("QueueSummary", "Queue", q.Name, "LoggedIn", members, "Available", members,
			"Callers", strconv.Itoa(len(r.waiting(q.Name))), "HoldTime", "0", "TalkTime", "0",
			"LongestHoldTime", "0", "ActionID", r.a.ActionID)
	}
	l.end("QueueSummaryComplete")
}

func pjsipShowEndpoints(r *reply) {
	if len(r.srv.cfg.Endpoints) == 0 {
		r.fail("No endpoints found\n")
		return
	}
	l := r.start("A listing of Endpoints follows, presented as EndpointList events", false)
	for _, name := range r.srv.cfg.Endpoints {
		l.item("EndpointList", "ActionID", r.a.ActionID, "ObjectType", "endpoint", "ObjectName", name,
			"Transport", "", "Aor", name, "Auths", name, "OutboundAuths", "", "Contacts", "",
			"DeviceState", "Not in use", "ActiveChannels", "0")
	}
	l.end("EndpointListComplete")
}

func pjsipShowEndpoint(r *reply) {
	name := r.a.Get("Endpoint")
	known := name == BrokenEndpoint
	for _, e := range r.srv.cfg.Endpoints {
		known = known || e == name
	}
	if !known {
		r.fail("Unable to retrieve endpoint " + name + "\n")
		return
	}
	l := r.start("Following are Events for each object associated with the Endpoint", false)
	l.item("EndpointDetail", "ActionID", r.a.ActionID, "ObjectType", "endpoint", "ObjectName", name, "Context", "from-internal")
	if name == BrokenEndpoint {
		r.fail("Unable to format endpoint " + name + "\n")
	} else {
		l.item("AorDetail", "ActionID", r.a.ActionID, "ObjectType", "aor", "ObjectName", name, "EndpointName", name)
	}
	l.end("EndpointDetailComplete")
}

func deviceStateList(r *reply) {
	l := r.start("Device State Changes will follow", false)
	for _, name := range r.srv.cfg.Endpoints {
		l.item("DeviceStateChange", "ActionID", r.a.ActionID, "Device", "PJSIP/"+name, "State", "NOT_INUSE")
	}
	l.end("DeviceStateListComplete")
}

// iaxPeers sends items without an ActionID, as every Asterisk does.
func iaxPeers(r *reply) {
	l := r.start("IAX Peer status list will follow", false)
	for i, name := range r.srv.cfg.Endpoints {
		l.item("PeerEntry", "Channeltype", "IAX2", "ObjectName", name, "ChanObjectType", "peer",
			"IPaddress", "192.0.2."+strconv.Itoa(i%250+1), "Port", "4569", "Dynamic", "yes", "Trunk", "no",
			"Encryption", "no", "Status", "OK (12 ms)")
	}
	l.end("PeerlistComplete")
}

func parkedCalls(r *reply) {
	l := r.start("Parked calls will follow", true)
	l.end("ParkedCallsComplete", "Total", "0")
}

// hangup acknowledges for one channel and lists for a /regular expression/.
func hangup(r *reply) {
	name := r.a.Get("Channel")
	if len(name) < 2 || name[0] != '/' || name[len(name)-1] != '/' {
		if _, found := r.srv.live.find(name); !found {
			r.fail("No such channel")
			return
		}
		r.ok("Message", "Channel Hungup")
		return
	}
	re, err := regexp.Compile(name[1 : len(name)-1])
	if err != nil {
		r.fail("Regex compile error: " + err.Error())
		return
	}
	l := r.start("Channels hung up will follow", false)
	for _, c := range r.srv.live.all() {
		if re.MatchString(c.name) {
			l.item("ChannelHungup", "Channel", c.name, "ActionID", r.a.ActionID)
		}
	}
	l.end("ChannelsHungupListComplete")
}

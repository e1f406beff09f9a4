package amisim

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// people call, in the scripts of the world.
var people = [...]string{"Anna Müller", "José Peña", "李雷", "Zoë Ω", "Olga Иванова", "Bob Smith",
	"ONeil; Jr", "François Lefèvre", "مريم", "Søren Ægir", "Ivy O'Brien", "山田 太郎"}

// call is one call under way. Its methods are the moments at which it does
// something; each arranges for the next.
type call struct {
	g        *generator
	local    *channel // the ;1 half that a dialer made, or nil
	caller   *channel
	callee   *channel
	queue    *Queue
	member   Member
	bridge   string
	joined   time.Time
	dialled  time.Time
	answered time.Time
}

// newCall decides what kind of call it will be.
func (g *generator) newCall() *call {
	c := &call{g: g}
	member := Member{Interface: "PJSIP/" + pick(g, g.srv.cfg.Endpoints)}
	if g.rng.IntN(3) == 0 && len(g.srv.cfg.Queues) > 0 {
		queue := &g.srv.cfg.Queues[g.rng.IntN(len(g.srv.cfg.Queues))]
		if len(queue.Members) > 0 {
			c.queue, member = queue, pick(g, queue.Members)
		}
	}
	c.member = member
	return c
}

func pick[T any](g *generator, from []T) (x T) {
	if len(from) > 0 {
		x = from[g.rng.IntN(len(from))]
	}
	return x
}

// begin makes the caller's channel, or the two of a dialer's Local channel.
func (c *call) begin() {
	g := c.g
	num, name := fmt.Sprintf("+4930%07d", g.rng.IntN(1e7)), people[g.rng.IntN(len(people))]
	if c.queue == nil && g.rng.IntN(3) == 0 {
		c.beginLocal(num, name)
		c.dial()
		return
	}
	c.caller = g.open("PJSIP/trunk", "", "from-trunk", strconv.Itoa(100+g.rng.IntN(80)), ring)
	c.caller.num, c.caller.callerName = num, name
	g.send("Newchannel", "call", c.caller, nil)
	g.exten(c.caller, "NoOp", "Call from "+name)
	g.exten(c.caller, "Set", "CALLED="+c.caller.exten)
	g.set(c.caller, "CALLED", c.caller.exten)
	if c.queue == nil {
		c.dial()
	} else {
		c.join()
	}
}

func (c *call) beginLocal(num, name string) {
	g := c.g
	exten := strconv.Itoa(600 + g.rng.IntN(100))
	c.local = g.open("Local/"+exten+"@dialer", ";1", "dialer", exten, down)
	c.caller = g.open("", "", "dialer", exten, ring)
	c.caller.name = c.local.name[:len(c.local.name)-1] + "2"
	c.caller.linkedid = c.local.linkedid
	halves := [...]*channel{c.local, c.caller}
	for _, half := range halves {
		g.send("Newchannel", "call", half, nil)
	}
	g.exten(c.local, "AppDial2", "(Outgoing Line)")
	for _, half := range halves {
		g.set(half, "CAMPAIGN", strconv.Itoa(1+g.rng.IntN(9)))
		half.num, half.callerName = num, name
		g.send("NewCallerid", "call", half, nil, "CID-CallingPres", "0 (Presentation Allowed, Not Screened)")
		half.connNum, half.connName = num, name
		g.send("NewConnectedLine", "call", half, nil)
	}
	frame := g.srv.beginEvent(make([]byte, 0, 1024), "LocalBridge", "call")
	frame = c.caller.appendTo(c.local.appendTo(frame, "LocalOne"), "LocalTwo")
	g.finish("call", frame, "Context", "dialer", "Exten", exten, "LocalOptimization", "No")
	g.send("DialBegin", "call", nil, c.local, "DialString", exten+"@dialer")
}

// dial is app_dial: a second channel that rings.
func (c *call) dial() {
	g := c.g
	g.exten(c.caller, "Dial", c.member.Interface+",30,tT")
	for _, name := range [...]string{"DIALSTATUS", "DIALEDPEERNUMBER", "DIALEDPEERNAME", "ANSWEREDTIME", "ANSWEREDTIME_MS",
		"DIALEDTIME", "DIALEDTIME_MS", "RINGTIME", "RINGTIME_MS", "PROGRESSTIME", "PROGRESSTIME_MS"} {
		g.set(c.caller, name, "")
	}
	c.call("AppDial")
	g.send("DialBegin", "call", c.caller, c.callee, "DialString", c.peer())
	c.ring()
}

// join is app_queue: the caller waits until a member is called.
func (c *call) join() {
	g := c.g
	g.exten(c.caller, "Answer", "")
	g.state(c.caller, up)
	g.exten(c.caller, "Queue", c.queue.Name+",tT,,,60")
	for _, name := range [...]string{"ANSWEREDTIME", "ANSWEREDTIME_MS", "DIALEDTIME", "DIALEDTIME_MS", "QUEUEWAIT", "QUEUEWAIT_MS"} {
		g.set(c.caller, name, "")
	}
	c.joined = g.clock
	c.caller.queue = c.queue.Name
	g.srv.live.put(c.caller)
	n := strconv.Itoa(len(g.waiting(c.queue.Name)))
	g.send("QueueCallerJoin", "agent", c.caller, nil, "Queue", c.queue.Name, "Position", n, "Count", n)
	g.after(g.between(g.t.RingMin/2, g.t.RingMax/2), c.callMember)
}

func (c *call) callMember() {
	c.call("AppQueue")
	c.g.send("AgentCalled", "agent", c.caller, c.callee,
		"Queue", c.queue.Name, "Interface", c.member.Interface, "MemberName", c.member.Name)
	c.g.send("DialBegin", "call", c.caller, c.callee, "DialString", c.peer())
	c.memberStatus(6)
	c.ring()
}

// call opens the called channel.
func (c *call) call(app string) {
	g := c.g
	c.dialled = g.clock
	c.callee = g.open(c.member.Interface, "", "from-internal", "", down)
	c.callee.linkedid = c.caller.linkedid
	g.send("Newchannel", "call", c.callee, nil)
	g.set(c.callee, "DIALEDPEERNUMBER", c.peer())
	g.exten(c.callee, app, "(Outgoing Line)")
	c.callee.num, c.callee.callerName = c.caller.exten, c.member.Name
	g.send("NewCallerid", "call", c.callee, nil, "CID-CallingPres", "0 (Presentation Allowed, Not Screened)")
	c.callee.connNum, c.callee.connName = c.caller.num, c.caller.callerName
	g.send("NewConnectedLine", "call", c.callee, nil)
}

func (c *call) ring() {
	g := c.g
	g.state(c.callee, ringing)
	g.device(c.member.Interface, "RINGING")
	next := c.answer
	if c.queue == nil && g.rng.IntN(4) == 0 {
		next = c.fail
	}
	g.after(g.between(g.t.RingMin, g.t.RingMax), next)
}

func (c *call) answer() {
	g := c.g
	c.answered = g.clock
	g.state(c.callee, up)
	g.device(c.member.Interface, "INUSE")
	g.set(c.caller, "DIALSTATUS", "ANSWER")
	g.set(c.caller, "DIALEDPEERNAME", c.callee.name)
	g.set(c.caller, "DIALEDPEERNUMBER", c.peer())
	g.send("DialEnd", "call", c.caller, c.callee, "DialStatus", "ANSWER")
	if c.queue == nil {
		g.state(c.caller, up)
	} else {
		c.leaveQueue()
	}
	if c.local != nil {
		g.state(c.local, up)
		g.send("DialEnd", "call", nil, c.local, "DialStatus", "ANSWER")
	}
	id := make([]byte, 16)
	for i := range id {
		id[i] = byte(g.rng.Uint32())
	}
	text := hex.EncodeToString(id)
	c.bridge = text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
	c.bridgeEvent("BridgeCreate", 0, nil)
	for i, ch := range [...]*channel{c.callee, c.caller} {
		ch.bridge = c.bridge
		g.srv.live.put(ch)
		c.bridgeEvent("BridgeEnter", i+1, ch)
	}
	g.set(c.callee, "BRIDGEPEER", c.caller.name)
	g.set(c.caller, "BRIDGEPEER", c.callee.name)
	g.after(g.between(g.t.TalkMin, g.t.TalkMax), c.hangup)
}

func (c *call) leaveQueue() {
	g := c.g
	c.caller.queue = ""
	g.srv.live.put(c.caller)
	c.memberStatus(2)
	hold, rang := seconds(g.clock.Sub(c.joined)), seconds(g.clock.Sub(c.dialled))
	g.send("QueueCallerLeave", "agent", c.caller, nil, "Queue", c.queue.Name, "Position", "1",
		"Count", strconv.Itoa(len(g.waiting(c.queue.Name))))
	g.set(c.caller, "QUEUEPOSITION", "1")
	g.set(c.caller, "QUEUEWAIT", hold)
	g.send("AgentConnect", "agent", c.caller, c.callee, "Queue", c.queue.Name, "Interface", c.member.Interface,
		"MemberName", c.member.Name, "HoldTime", hold, "RingTime", rang)
}

// hangup ends an answered call, by either side.
func (c *call) hangup() {
	g := c.g
	byAgent := g.rng.IntN(2) == 0
	first, second, reason := c.caller, c.callee, "caller"
	if byAgent {
		first, second, reason = c.callee, c.caller, "agent"
	}
	talked := seconds(g.clock.Sub(c.answered))
	g.send("HangupRequest", "call", first, nil, "Cause", "16")
	if c.queue != nil {
		g.send("AgentComplete", "agent", c.caller, c.callee, "Queue", c.queue.Name, "Interface", c.member.Interface,
			"MemberName", c.member.Name, "HoldTime", seconds(c.answered.Sub(c.joined)), "TalkTime", talked, "Reason", reason)
		c.memberStatus(1)
	}
	for i, ch := range [...]*channel{first, second} {
		g.set(ch, "BRIDGEPEER", "")
		ch.bridge = ""
		c.bridgeEvent("BridgeLeave", 1-i, ch)
	}
	c.bridgeEvent("BridgeDestroy", 0, nil)
	g.set(c.caller, "ANSWEREDTIME", talked)
	g.set(c.caller, "DIALEDTIME", seconds(g.clock.Sub(c.dialled)))
	c.close(16, "Normal Clearing")
}

// fail ends a call that nobody took.
func (c *call) fail() {
	fates := [...]struct {
		status, text string
		cause        int
	}{{"BUSY", "User busy", 17}, {"NOANSWER", "User alerting, no answer", 19},
		{"CONGESTION", "Circuit/channel congestion", 34}, {"CANCEL", "Normal Clearing", 16}}
	fate := fates[c.g.rng.IntN(len(fates))]
	c.g.send("DialEnd", "call", c.caller, c.callee, "DialStatus", fate.status)
	c.g.set(c.caller, "DIALSTATUS", fate.status)
	if c.local != nil {
		c.g.send("DialEnd", "call", nil, c.local, "DialStatus", fate.status)
	}
	c.close(fate.cause, fate.text)
}

// close hangs up every channel of the call.
func (c *call) close(cause int, text string) {
	g := c.g
	number := strconv.Itoa(cause)
	g.hangup(c.callee, number, text)
	g.device(c.member.Interface, "NOT_INUSE")
	g.exten(c.caller, "Hangup", "")
	for _, ch := range [...]*channel{c.caller, c.local} {
		if ch != nil {
			g.send("SoftHangupRequest", "call", ch, nil, "Cause", number)
			g.hangup(ch, number, text)
		}
	}
	g.calls--
}

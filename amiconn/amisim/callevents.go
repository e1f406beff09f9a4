package amisim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// open makes a channel, named after tech and its number.
func (g *generator) open(tech, suffix, context, exten string, state int) *channel {
	c := g.srv.newChannel("", context, exten)
	c.name = fmt.Sprintf("%s-%08x%s", tech, c.serial, suffix)
	c.state = state
	g.alive[c] = struct{}{}
	g.srv.live.put(c)
	return c
}

func (g *generator) hangup(c *channel, cause, text string) {
	g.send("Hangup", "call", c, nil, "Cause", cause, "Cause-txt", text)
	delete(g.alive, c)
	g.srv.live.drop(c)
}

func (g *generator) state(c *channel, state int) {
	c.state = state
	g.srv.live.put(c)
	g.send("Newstate", "call", c, nil)
}

func (g *generator) exten(c *channel, app, data string) {
	c.app, c.data = app, data
	g.srv.live.put(c)
	g.send("Newexten", "dialplan", c, nil, "Extension", c.exten, "Application", app, "AppData", data)
	if !strings.HasPrefix(data, "(") {
		c.priority++
	}
}

func (g *generator) set(c *channel, name, value string) {
	g.send("VarSet", "dialplan", c, nil, "Variable", name, "Value", value)
}

func (g *generator) device(name, state string) {
	g.send("DeviceStateChange", "call", nil, nil, "Device", name, "State", state)
}

// waiting are this traffic's callers in a queue.
func (g *generator) waiting(queue string) (waiting []*channel) {
	for c := range g.alive {
		if c.queue == queue {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

// bridgeEvent is an event of a bridge with n channels, and of one that enters
// or leaves it (manager_bridges.c).
func (c *call) bridgeEvent(name string, n int, ch *channel) {
	frame := c.g.srv.beginEvent(make([]byte, 0, 640), name, "call")
	frame = appendHeaders(frame, []string{"BridgeUniqueid", c.bridge, "BridgeType", "basic",
		"BridgeTechnology", "simple_bridge", "BridgeCreator", "<unknown>", "BridgeName", "<unknown>",
		"BridgeNumChannels", strconv.Itoa(n), "BridgeVideoSourceMode", "none"})
	if ch != nil {
		frame = ch.appendTo(frame, "")
	}
	c.g.finish("call", frame)
}

// memberStatus tells of the member's device: 1 idle, 2 in use, 6 ringing
// (devicestate.h).
func (c *call) memberStatus(status int) {
	inCall, login := "0", strconv.FormatInt(c.g.srv.started.Unix(), 10)
	if status == 2 {
		inCall = "1"
	}
	c.g.send("QueueMemberStatus", "agent", nil, nil, "Queue", c.queue.Name, "MemberName", c.member.Name,
		"Interface", c.member.Interface, "StateInterface", c.member.Interface, "Membership", "static",
		"Penalty", "0", "CallsTaken", "0", "LastCall", "0", "LastPause", "0", "LoginTime", login,
		"InCall", inCall, "Status", strconv.Itoa(status), "Paused", "0", "PausedReason", "",
		"Ringinuse", "1", "Wrapuptime", "0")
}

// peer is the called number: what follows the technology.
func (c *call) peer() string {
	_, peer, _ := strings.Cut(c.member.Interface, "/")
	return peer
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

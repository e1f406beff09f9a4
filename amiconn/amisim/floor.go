package amisim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Raising is whether a change raises its event.
type Raising bool

// Raised raises it. Silent does not, as a change at Asterisk's prompt may not, or one
// while no session is up.
const (
	Raised Raising = true
	Silent Raising = false
)

// Floor is channels that a test has begin, change and end at will, and the list of them,
// CoreShowChannels. Each change makes a channel's version one more, which is its
// AccountCode: so an old state of it can be raised from a new one. Its methods may be
// called concurrently.
type Floor struct {
	server *Server

	mu       sync.Mutex // protects the following; held while events are queued, so that they are in order
	channels []*FloorChannel
	lag      *Lag // of the next list
}

// FloorChannel is one of a Floor's.
type FloorChannel struct {
	ID, Name, Exten string
	Version         int
	Bridge          string // "": it is in none
}

// NewFloor has s list a Floor's channels, none yet, in place of its own.
func NewFloor(s *Server) *Floor {
	f := &Floor{server: s}
	s.Always("CoreShowChannels", f.list)
	return f
}

// Lag is a list that is made when it is asked for, and comes later.
type Lag struct {
	Made chan struct{} // is closed when it has been made
	Send chan struct{} // is to be closed for it to come
}

// Lag has the next list lag.
func (f *Floor) Lag() *Lag {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lag = &Lag{Made: make(chan struct{}), Send: make(chan struct{})}
	return f.lag
}

func (f *Floor) list(s *Session, a *Action) {
	f.mu.Lock()
	var b strings.Builder
	fmt.Fprintf(&b, "Response: Success\r\nActionID: %s\r\nEventList: start\r\nMessage: Channels will follow\r\n\r\n", a.ActionID)
	for _, c := range f.channels {
		fmt.Fprintf(&b, "Event: CoreShowChannel\r\nActionID: %s\r\n%sBridgeId: %s\r\nDuration: 00:00:01\r\n\r\n", a.ActionID, c.block(), c.Bridge)
	}
	fmt.Fprintf(&b, "Event: CoreShowChannelsComplete\r\nActionID: %s\r\nEventList: Complete\r\nListItems: %d\r\n\r\n", a.ActionID, len(f.channels))
	lag := f.lag
	f.lag = nil
	f.mu.Unlock()
	if lag != nil {
		close(lag.Made)
		select {
		case <-lag.Send:
		case <-s.done:
		case <-s.hungUp:
		}
	}
	s.Write([]byte(b.String()))
}

// block is a channel as events have it (manager_channels.c,
// ast_manager_build_channel_state_string_prefix).
func (c *FloorChannel) block() string {
	return "Channel: " + c.Name + "\r\nChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 100\r\nAccountCode: " + strconv.Itoa(c.Version) +
		"\r\nContext: office\r\nExten: " + c.Exten + "\r\nUniqueid: " + c.ID + "\r\nLinkedid: " + c.ID + "\r\n"
}

func (f *Floor) raise(raised Raising, event, more string, c *FloorChannel) {
	if raised {
		f.server.EmitRaw([]byte("Event: " + event + "\r\nPrivilege: call,all\r\n" + more + c.block() + "\r\n"))
	}
}

// Up returns the channels that are up.
func (f *Floor) Up() (all []FloorChannel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.channels {
		all = append(all, *c)
	}
	return all
}

// Begin has a channel begin.
func (f *Floor) Begin(id string, raised Raising) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &FloorChannel{ID: id, Name: "PJSIP/" + id, Exten: "100"}
	f.channels = append(f.channels, c)
	f.raise(raised, "Newchannel", "", c)
}

// Change has a channel change, if it is up.
func (f *Floor) Change(id string, raised Raising) {
	f.change(id, func(c *FloorChannel) { f.raise(raised, "Newstate", "", c) })
}

// Enter has a channel enter a bridge.
func (f *Floor) Enter(id, bridge string, raised Raising) {
	f.change(id, func(c *FloorChannel) {
		c.Bridge = bridge
		f.raise(raised, "BridgeEnter", "BridgeUniqueid: "+bridge+"\r\nBridgeTechnology: simple_bridge\r\n", c)
	})
}

// Transfer has a channel leave its bridge for exten, blindly.
func (f *Floor) Transfer(id, exten string, raised Raising) {
	f.change(id, func(c *FloorChannel) {
		f.raise(raised, "BridgeLeave", "BridgeUniqueid: "+c.Bridge+"\r\nBridgeTechnology: simple_bridge\r\n", c)
		c.Bridge, c.Exten = "", exten
		f.raise(raised, "Newexten", "Extension: "+exten+"\r\nApplication: Dial\r\n", c)
	})
}

// Masquerade has a channel go on as another, whose name it takes and which ends as a
// zombie (channel.c, channel_do_masquerade).
func (f *Floor) Masquerade(id, as string, raised Raising) {
	name := ""
	f.mu.Lock()
	if i := f.find(as); i >= 0 {
		name = f.channels[i].Name
	}
	f.mu.Unlock()
	if name == "" || id == as {
		return
	}
	f.change(id, func(c *FloorChannel) {
		c.Name = name
		f.raise(raised, "NewConnectedLine", "", c)
		if i := f.find(as); i >= 0 {
			f.channels[i].Name = name + "<ZOMBIE>"
			f.remove(i, raised)
		}
	})
}

// End has a channel end, if it is up. An event about it follows, as may happen.
func (f *Floor) End(id string, raised Raising) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.find(id); i >= 0 {
		f.remove(i, raised)
	}
}

func (f *Floor) change(id string, how func(c *FloorChannel)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.find(id); i >= 0 {
		f.channels[i].Version++
		how(f.channels[i])
	}
}

func (f *Floor) remove(i int, raised Raising) {
	c := f.channels[i]
	f.channels = slices.Delete(f.channels, i, i+1)
	f.raise(raised, "Hangup", "Cause: 16\r\n", c)
	f.raise(raised, "VarSet", "Variable: RTPAUDIOQOS\r\nValue: \r\n", c)
}

func (f *Floor) find(id string) int {
	return slices.IndexFunc(f.channels, func(c *FloorChannel) bool { return c.ID == id })
}

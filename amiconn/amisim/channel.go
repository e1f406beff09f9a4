package amisim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// States of a channel (channelstate.h).
const (
	down    = 0
	ring    = 4
	ringing = 5
	up      = 6
)

// channel is what Asterisk tells of a channel in its events.
type channel struct {
	name, uniqueid, linkedid string
	state                    int
	num, callerName          string
	connNum, connName        string
	context, exten           string
	priority                 int
	app, data                string
	bridge                   string
	queue                    string // it waits in
	created                  time.Time
	serial                   int64
}

func (s *Server) newChannel(name, context, exten string) *channel {
	now, n := s.now(), s.channels.Add(1)-1
	id := strconv.FormatInt(now.Unix(), 10) + "." + strconv.FormatInt(n, 10)
	return &channel{
		name: name, uniqueid: id, linkedid: id, state: up,
		num: "<unknown>", callerName: "<unknown>", connNum: "<unknown>", connName: "<unknown>",
		context: context, exten: exten, priority: 1, created: now, serial: n,
	}
}

func (c *channel) stateDesc() string {
	switch c.state {
	case ring:
		return "Ring"
	case ringing:
		return "Ringing"
	case up:
		return "Up"
	}
	return "Down"
}

// appendTo appends the channel snapshot block of manager_channels.c
// ast_manager_build_channel_state_string_prefix.
func (c *channel) appendTo(dst []byte, prefix string) []byte {
	add := func(key, value string) {
		dst = append(append(append(append(dst, prefix...), key...), ": "...), value...)
		dst = append(dst, "\r\n"...)
	}
	add("Channel", c.name)
	add("ChannelState", strconv.Itoa(c.state))
	add("ChannelStateDesc", c.stateDesc())
	add("CallerIDNum", c.num)
	add("CallerIDName", c.callerName)
	add("ConnectedLineNum", c.connNum)
	add("ConnectedLineName", c.connName)
	add("Language", "en")
	add("AccountCode", "")
	add("Context", c.context)
	add("Exten", c.exten)
	add("Priority", strconv.Itoa(c.priority))
	add("Uniqueid", c.uniqueid)
	add("Linkedid", c.linkedid)
	return dst
}

func (c *channel) duration() string {
	s := int(time.Since(c.created).Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// liveChannels are those that exist now, for the lists.
type liveChannels struct {
	mu   sync.Mutex
	byID map[string]channel
}

func (l *liveChannels) put(c *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = make(map[string]channel)
	}
	l.byID[c.uniqueid] = *c
}

func (l *liveChannels) drop(c *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, c.uniqueid)
}

// all returns copies, oldest first.
func (l *liveChannels) all() []channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]channel, 0, len(l.byID))
	for _, c := range l.byID {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b channel) int { return int(a.serial - b.serial) })
	return all
}

func (l *liveChannels) find(name string) (channel, bool) {
	all := l.all()
	i := slices.IndexFunc(all, func(c channel) bool { return strings.EqualFold(c.name, name) })
	if i < 0 {
		return channel{}, false
	}
	return all[i], true
}

package view

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// thousand is a Model of 1,000 servers of four bridges, each with 8 calls, 4 queues and
// 20 agents, and one of fifty down.
func thousand(b *testing.B) (*Model, time.Time) {
	b.Helper()
	m, now := New(Options{}), t0
	put := func(key string, value fields) { m.State(key, marshal(value), now) }
	for i := range 1000 {
		name, node := fmt.Sprintf("pbx%04d", i), fmt.Sprintf("b%d", i%4)
		told := fields{"node": node, "at": text(now), "since": text(now)}
		state := "up"
		if i%50 == 0 {
			state = "waiting"
		}
		m.Status("ami.status."+name+".connection", marshal(told.with(fields{"role": "event", "to": state, "reason": "dial", "sessions": fields{"event": state, "action": state}})), now)
		for round := range uint64(2) {
			at := now.Add(time.Duration(round) * 5 * time.Second)
			m.Status("ami.status."+name+".buffers", marshal(buffers(500*round, 500*round, told, fields{"at": text(at)})), at)
		}
		put(name+".server", fields{"state": "live", "since": text(now)})
		for c := range 8 {
			put(fmt.Sprintf("%s.channel.%d", name, c), fields{"Linkedid": fmt.Sprint(c), "CallerIDNum": "+4930123456", "Since": text(now)})
		}
		for a := range 20 {
			put(fmt.Sprintf("%s.member.q%d.m%d", name, a%4, a), fields{"Queue": fmt.Sprint("q", a%4), "Interface": fmt.Sprint("PJSIP/", a), "MemberName": fmt.Sprint("Agent ", a), "Status": fmt.Sprint(1 + a%3)})
		}
	}
	now = now.Add(6 * time.Second)
	m.Tick(now)
	return m, now
}

func BenchmarkSnapshot_ThousandServers(b *testing.B) {
	m, now := thousand(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Snapshot(now, NumbersLast4)
	}
}

// Once a second each server's floor has changed.
func BenchmarkSnapshot_ThousandServersAllChanged(b *testing.B) {
	m, now := thousand(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range m.servers {
			s.floor = nil
		}
		m.Tick(now)
		m.Snapshot(now, NumbersLast4)
	}
}

func BenchmarkSnapshot_JSON(b *testing.B) {
	m, now := thousand(b)
	snap := m.Snapshot(now, NumbersNone)
	for b.Loop() {
		raw, err := json.Marshal(snap)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(raw)))
	}
}

func BenchmarkStatus(b *testing.B) {
	m, now := thousand(b)
	payload := marshal(buffers(1000, 1000, fields{"node": "b0", "at": text(now)}))
	b.ReportAllocs()
	for b.Loop() {
		m.Status("ami.status.pbx0000.buffers", payload, now)
	}
}

func BenchmarkState(b *testing.B) {
	m, now := thousand(b)
	value := marshal(fields{"Channel": "PJSIP/trunk-0000a1", "ChannelState": "6", "ChannelStateDesc": "Up", "CallerIDNum": "+4930123456", "CallerIDName": "Ann",
		"ConnectedLineNum": "2014", "Context": "from-trunk", "Exten": "s", "Linkedid": "1", "Since": text(now), "At": text(now), "Source": "event"})
	b.ReportAllocs()
	for b.Loop() {
		m.State("pbx0001.channel.1", value, now)
	}
}

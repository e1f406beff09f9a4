package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func (w *watched) news() (all []string) {
	for _, c := range w.snapshot().Changes {
		all = append(all, c.At.Format("05 ")+c.Server+c.Node+" "+c.What)
	}
	return all
}

// What changed, once each: the tries of a server that stays away are no news.
func TestChanges(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1"})
	w.up("pbx1")
	w.pass(time.Second)
	w.lose("pbx1", "closed", "EOF")
	w.pass(time.Second)
	for i := range 5 {
		w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "event", "to": "connecting", "sessions": fields{"event": "connecting", "action": "up"}})
		w.lose("pbx1", "dial", "x")
		for _, to := range []string{"open", "half-open"} {
			w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": to, "reason": "dial", "failures": 5 + i, "retry_at": ""})
		}
		w.pass(time.Second)
	}
	w.connect("pbx1")
	w.tell("pbx1", "gap", fields{"from": text(at(time.Second)), "to": text(w.now), "reason": "dial", "lost": nil, "restarted": true})
	w.pass(time.Second)
	w.tell("pbx1", "buffers", buffers(9, 1, fields{"trigger": "high", "outbox": outbox(capacity*9/10, "high")}, dropped("shed", 3)))
	w.pass(time.Second)
	w.tell("pbx1", "buffers", buffers(9, 1, fields{"trigger": "full", "outbox": outbox(capacity, "full")}, dropped("shed", 5)))
	w.tell("pbx1", "gap", fields{"from": text(w.now), "to": text(w.now), "reason": "shed", "lost": 1234, "restarted": nil})
	w.pass(time.Second)
	w.tell("pbx1", "buffers", buffers(9, 1, fields{"trigger": "drained"}, dropped("shed", 5)))
	w.node("b1", []string{"pbx1"}, fields{"connections": fields{"events": "RECONNECTING", "control": "CONNECTED"}})
	w.pass(time.Second)
	w.node("b1", []string{"pbx1"})
	want := []string{
		"11 b1 NATS events is up", "10 b1 NATS events is down", "10 pbx1 outbox drained", "09 pbx1 gap closed: shed, 1" + thin + "234 lost",
		"09 pbx1 outbox full", "08 pbx1 outbox over 80 %", "08 pbx1 drops begin: shed", "07 pbx1 gap closed: dial, Asterisk was restarted",
		"07 pbx1 breaker closed", "07 pbx1 up", "02 pbx1 breaker open, 5 failures", "02 pbx1 down: dial", "01 pbx1 down: closed",
		"00 pbx1 up", "00 pbx1 action up",
	}
	if got := w.news(); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What happens twice is told twice: each gap, and each series of drops, of which every
// reason is told once.
func TestChanges_AgainAndAgain(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	n := map[string]uint64{}
	drop := func(reason string) {
		w.pass(time.Second)
		n[reason]++
		all := fields{}
		for r, k := range n {
			all[r] = k
		}
		w.tell("pbx1", "buffers", buffers(9, 9, fields{"dropped": all}))
	}
	for range 2 {
		for _, reason := range []string{"oversize", "shed", "oversize", "shed"} {
			drop(reason)
		}
		w.tell("pbx1", "gap", fields{"from": text(w.now), "to": text(w.now), "reason": "closed", "lost": nil})
		w.pass(15 * time.Second)
		w.connect("pbx1")
		w.tell("pbx1", "buffers", buffers(9, 9, fields{"dropped": fields{"oversize": n["oversize"], "shed": n["shed"]}}))
	}
	want := []string{
		"23 pbx1 gap closed: closed", "21 pbx1 drops begin: shed", "20 pbx1 drops begin: oversize",
		"04 pbx1 gap closed: closed", "02 pbx1 drops begin: shed", "01 pbx1 drops begin: oversize", "00 pbx1 up", "00 pbx1 action up",
	}
	if got := w.news(); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The ring holds the newest 200, by time, whatever the order in which they come.
func TestChanges_Bounded(t *testing.T) {
	t.Parallel()
	l := newChanges()
	for i := range 1000 {
		j := (i * 377) % 1000
		l.add(change(at(time.Duration(j)*time.Second), "pbx1", "", "x", fmt.Sprint(j)))
	}
	all := l.newest()
	equal(t, "how many", len(all), 200)
	for i, c := range all {
		equal(t, "what", c.What, fmt.Sprint(999-i))
	}
}

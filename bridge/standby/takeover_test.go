package standby

import (
	"strings"
	"testing"
	"time"
)

// A leader that was deposed goes on as a standby that is in sync, with what it had not
// seen acknowledged, and the new leader's Marks release it.
func TestLedger_FollowsWhoTookOver(t *testing.T) {
	p := newPair(t)
	p.sync()
	var held []uint64
	for range 10 {
		h := p.next()
		held = append(held, h)
		p.l.Send(h)
		p.f.Read(h)
	}
	p.f.Claim(2)
	tail := p.f.Tail("pbx1")
	for i, h := range held[:4] {
		tail.Add(ID{"pbx1", "e1", p.l.Acked() + uint64(i) + 1, h})
	}
	l, err := p.f.TakeOver(tail, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	p.f = p.l.Follow(2, 1<<17, time.Time{}, func(yield func(uint64) bool) {
		for _, h := range held {
			yield(h)
		}
	})
	p.want(InSync, "")
	for _, h := range held[4:7] {
		l.Send(h)
	}
	l.Ack(l.Sent())
	if n := p.f.Observe(l.Mark(2), p.now); n != 7 || p.f.Held() != 3 {
		t.Errorf("%d are released, %d held", n, p.f.Held())
	}
}

func TestLedger_BeginsAnEpochBehindAllOfTheLast(t *testing.T) {
	l := NewLedger("e1", 0)
	l.Send(1)
	if err := l.Begin("e2"); err == nil {
		t.Error("an epoch begins while events are in flight")
	}
	l.Ack(5) // never sent
	if l.Acked() != 0 {
		t.Error("what was not sent is stored")
	}
	l.Ack(1)
	if err := l.Begin("e2"); err != nil || l.Sent() != 0 || l.Epoch() != "e2" {
		t.Errorf("%v, %d", err, l.Sent())
	}
	if m := l.Mark(3); m != (Mark{Term: 3, Epoch: "e2"}) {
		t.Errorf("%+v", m)
	}
}

func TestLedger_BoundsWhatIsInFlight(t *testing.T) {
	l := NewLedger("e1", 0)
	n := 0
	for ; n < 2*maxUnacked; n++ {
		if _, ok := l.Send(uint64(n)); !ok {
			break
		}
	}
	if n != maxUnacked {
		t.Errorf("%d", n)
	}
	l.Ack(1)
	if got, ok := l.Send(9); !ok || got != maxUnacked+1 {
		t.Errorf("%d %v", got, ok)
	}
	if m := l.Mark(1); m.N != 1 || m.Width != 0 {
		t.Errorf("%+v", m)
	}
	l.Ack(200)
	if m := l.Mark(1); m.Width < Window || m.Width >= 2*Window || m.Sum != 200*199/2 || m.Window != m.Sum-(200-m.Width)*(199-m.Width)/2 {
		t.Errorf("%+v", m)
	}
}

// The Tail says exactly what is stored behind the cut, or why it cannot.
func TestTail_IsExactOrSaysWhyNot(t *testing.T) {
	id := func(epoch string, n uint64) ID { return ID{"pbx1", epoch, n, n} }
	for name, test := range map[string]struct {
		ids    []ID
		hashes int
		strays int
		err    string
	}{
		"nothing":             {nil, 0, 0, ""},
		"only the cut":        {[]ID{id("e1", 99), id("e1", 100)}, 0, 0, ""},
		"behind it":           {[]ID{id("e1", 101), id("e1", 102)}, 2, 0, ""},
		"from an older epoch": {[]ID{id("e0", 7), id("e1", 0), id("e1", 1)}, 0, 0, "lost events 2 to 100"},
		"from before":         {[]ID{id("e0", 7), id("e1", 99), id("e1", 100), id("e1", 101)}, 1, 0, ""},
		"a hole":              {[]ID{id("e1", 101), id("e1", 103)}, 1, 0, "lacks events 102 to 102"},
		"a hole at the cut":   {[]ID{id("e1", 103)}, 0, 0, "lacks events 101 to 102"},
		"a stray":             {[]ID{id("e1", 101), id("e1", 102), id("e1", 101), id("e1", 103)}, 3, 1, ""},
		"a new epoch":         {[]ID{id("e1", 101), id("e2", 0)}, 1, 0, "epoch e2"},
		"only a new epoch":    {[]ID{id("e2", 0), id("e2", 1)}, 0, 0, "nothing of epoch e1"},
		"less than the cut":   {[]ID{id("e1", 98), id("e1", 99)}, 0, 0, "lost events 100 to 100"},
		"another server's":    {[]ID{{"pbx2", "e9", 4, 4}, id("e1", 101)}, 1, 0, ""},
	} {
		tail := &Tail{server: "pbx1", epoch: "e1", cut: 100}
		for _, id := range test.ids {
			tail.Add(id)
		}
		err := tail.Err()
		if len(tail.hashes) != test.hashes || tail.Strays() != test.strays || (err != nil) != (test.err != "") {
			t.Errorf("%s: %d hashes, %d strays, %v", name, len(tail.hashes), tail.Strays(), err)
		}
		if err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, want %s", name, err, test.err)
		}
		if short := strings.HasPrefix(test.err, "lost") || strings.HasPrefix(test.err, "nothing of"); tail.Short() != short {
			t.Errorf("%s: it ends before the cut: %v", name, !short)
		}
	}
	tail := &Tail{server: "pbx1", epoch: "e1", cut: 100}
	tail.Foreign()
	if tail.Err() == nil || tail.Empty() {
		t.Error("where only a bridge without HA has published nothing is missing")
	}
	tail.Add(id("e1", 101))
	tail.Foreign() // it publishes beside
	tail.Add(id("e1", 102))
	if err := tail.Err(); err != nil || len(tail.hashes) != 2 {
		t.Errorf("beside a bridge without HA: %d hashes, %v", len(tail.hashes), err)
	}
}

// What is owed and never comes is told, and is not waited for without an end.
func TestLedger_SaysWhenWhatIsOwedIsOverdue(t *testing.T) {
	p := newPair(t)
	p.sync()
	p.f.Claim(2)
	tail := p.f.Tail("pbx1")
	missing, coming := p.next(), p.next()
	tail.Add(ID{"pbx1", "e1", p.l.Acked() + 1, missing})
	tail.Add(ID{"pbx1", "e1", p.l.Acked() + 2, coming})
	l, err := p.f.TakeOver(tail, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if l.Read(coming) {
		t.Error("what is stored is held")
	}
	for range owedPatience {
		if !l.Read(p.next()) {
			t.Fatal("what is not stored is dropped")
		}
	}
	if n, overdue := l.Owed(); n != 1 || overdue {
		t.Fatalf("%d, %v", n, overdue)
	}
	l.Read(p.next())
	if n, overdue := l.Owed(); n != 1 || !overdue {
		t.Errorf("%d, %v", n, overdue)
	}
	l.Restart()
	if n, overdue := l.Owed(); n != 0 || overdue || !l.Read(missing) {
		t.Error("a new session owes nothing")
	}
}

// What the stream holds is not published again in a new epoch: neither what is held of
// it, nor what is still to come, nor what was owed before.
func TestFollower_BeginsBehindWhatIsStored(t *testing.T) {
	for name, read := range map[string]int{"ahead": 100, "level": 80, "behind": 60, "far behind": 0} {
		f, tail := NewFollower(1000), &Tail{server: "pbx1"}
		var all []uint64
		for i := range 120 {
			all = append(all, Hash([]byte{byte(i), 1}))
		}
		for i, h := range all[:80] {
			tail.Add(ID{"pbx1", "e1", uint64(i) + 1, h})
		}
		for _, h := range all[:read] {
			f.Read(h)
		}
		f.owed = owed{counts: map[uint64]uint32{all[119]: 1}, left: 1}
		gone := 0
		l := f.Begin("e2", tail, func(i int) {
			if i != gone {
				t.Errorf("%s: %d is told, want %d", name, i, gone)
			}
			gone++
		})
		if gone != min(read, 80) {
			t.Errorf("%s: %d of %d are stored", name, gone, read)
		}
		for i, h := range all[read:] {
			if got, want := l.Read(h), read+i >= 80 && read+i < 119; got != want {
				t.Fatalf("%s: event %d is held: %v, want %v", name, read+i, got, want)
			}
		}
		for i := range owedPatience + 2 {
			l.Read(uint64(i))
		}
		if n, overdue := l.Owed(); overdue || n != 0 {
			t.Errorf("%s: a guess is overdue", name)
		}
	}
}

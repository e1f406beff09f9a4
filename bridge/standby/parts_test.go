package standby

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// largest is a Heartbeat as large as one can be.
func largest() *Heartbeat {
	long := strings.Repeat("x", maxNode)
	h := &Heartbeat{Node: long, Incarnation: long[:maxToken], Seq: math.MaxUint64, Weight: maxWeight}
	for i := range MaxServers {
		server := fmt.Sprintf("%032d", i)
		h.Servers = append(h.Servers, server)
		l := LeadsOf(server, Mark{maxTerm, long[:maxEpoch], math.MaxUint64, math.MaxUint64, math.MaxUint64, 2*Window - 1, math.MaxUint64}, long)
		l.Unable = Unable(long[:maxToken])
		for range maxAnswers {
			l.Answers = append(l.Answers, Answer{long, math.MaxUint64, math.MaxUint64})
		}
		h.Leads = append(h.Leads, l)
		h.Tries = append(h.Tries, Tries{server, math.MaxInt32})
	}
	return h
}

// someServers is a Heartbeat about so many servers.
func someServers(rng *rand.Rand, node string, n int) *Heartbeat {
	h := &Heartbeat{Node: node, Incarnation: "i-" + node, Seq: 1, Weight: 1}
	for i := range n {
		server := strings.Repeat("p", 1+rng.IntN(24)) + fmt.Sprint(i)
		if rng.IntN(2) == 0 {
			h.Servers = append(h.Servers, server)
		}
		switch rng.IntN(3) {
		case 0:
			h.Leads = append(h.Leads, LeadsOf(server, Mark{Term: 1, Epoch: "e", N: rng.Uint64(), Sum: rng.Uint64(), Window: 1, Width: 70}, ""))
		case 1:
			h.Stands = append(h.Stands, Stands{Server: server, State: "joining", Reason: Alike, Probe: rng.Uint64()})
		default:
			h.Tries = append(h.Tries, Tries{server, 5})
		}
	}
	return h
}

// Whatever NATS takes: what one bridge says is what another hears, in whatever order the
// parts of several come; and it is a whole one wherever that goes.
func TestParts_AreReadAsTheWholeIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 10))
		limit := rapid.SampledFrom([]int{1 << 10, 4 << 10, 64 << 10, 1 << 20}).Draw(t, "limit")
		var mail [][]byte
		said := map[string]*Heartbeat{}
		for _, node := range []string{"b1", "b2", "b3"} {
			h := someServers(rng, node, rng.IntN(300))
			all, err := h.EncodeWithin(limit)
			if err != nil {
				t.Fatal(err)
			}
			if whole, err := h.Encode(); err != nil || len(whole) <= limit && len(all) > 1 {
				t.Fatalf("%d bytes go in %d parts of %d: %v", len(whole), len(all), limit, err)
			}
			mail, said[node] = append(mail, all...), h
		}
		rng.Shuffle(len(mail), func(i, j int) { mail[i], mail[j] = mail[j], mail[i] })
		p, heard := Parts{}, 0
		for _, data := range mail {
			if len(data) > limit {
				t.Fatalf("%d bytes go where NATS takes %d", len(data), limit)
			}
			h, err := DecodeHeartbeat(data)
			if err == nil {
				h, err = p.Add(h, time.Unix(0, 0))
			}
			if err != nil {
				t.Fatal(err)
			}
			if h == nil {
				continue
			}
			heard++
			h.Needs = needs
			if want := said[h.Node]; !reflect.DeepEqual(h, want) {
				t.Fatal(cmp.Diff(want, h))
			}
		}
		if heard != len(said) || len(p.by) > 0 {
			t.Fatalf("%d are heard, %d are left", heard, len(p.by))
		}
	})
}

// A part that another has said in a bridge's name, with a number that it never comes to, is
// forgotten.
func TestParts_BehindAForgedOne(t *testing.T) {
	p := Parts{}
	part := func(seq uint64, i int, at time.Duration) *Heartbeat {
		h, err := p.Add(&Heartbeat{Version: Version, Needs: parts, Node: "b2", Incarnation: "y", Weight: 1, Seq: seq, Part: i, Parts: 2}, time.Unix(0, 0).Add(at))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	part(1<<60, 1, 0)
	part(5, 1, partsPatience+1)
	if part(5, 2, partsPatience+1) == nil {
		t.Error("it is not heard")
	}
}

// The largest goes where NATS takes 8 KiB. Its parts want version 2; a whole one does not.
func TestParts_TheLargestGoes(t *testing.T) {
	for limit, want := range map[int]int{1 << 20: 2, 8 << 10: maxParts} {
		h := largest()
		for i := range h.Leads {
			if limit < 1<<20 {
				h.Leads[i].Answers = nil // not all join at once
			}
		}
		all, err := h.EncodeWithin(limit)
		if err != nil || len(all) > want {
			t.Fatalf("%d parts for %d: %v", len(all), limit, err)
		}
		t.Logf("%d parts for %d", len(all), limit)
		for _, data := range all {
			var says struct{ V, Needs int }
			if err := json.Unmarshal(data, &says); err != nil || says.V != 2 || says.Needs != 2 {
				t.Fatalf("%+v, %v", says, err)
			}
		}
	}
	if _, err := largest().EncodeWithin(100); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Error(err)
	}
}

// Who is silent in the middle of one, or says another, holds up nobody and nothing is made of
// parts of two.
func TestParts_OfOneThatIsNotWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 11))
	part := func(node string, seq uint64, n int) *Heartbeat {
		h := someServers(rng, node, 100)
		h.Seq = seq
		all, err := h.EncodeWithin(4 << 10)
		if err != nil || len(all) < 3 {
			t.Fatal(len(all), err)
		}
		h, err = DecodeHeartbeat(all[n])
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	p, now := Parts{}, time.Unix(0, 0)
	add := func(h *Heartbeat) error {
		got, err := p.Add(h, now)
		if got != nil {
			t.Fatalf("one is whole: %+v", got)
		}
		return err
	}
	for seq := range uint64(20) {
		for n := range 2 {
			if err := add(part("b1", 20+seq, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := add(part("b1", 5, 2)); err != nil { // late
			t.Fatal(err)
		}
	}
	for i := range maxBridges - 1 {
		if err := add(part(fmt.Sprint("n", i), 1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(part("more", 1, 0)); err == nil {
		t.Error("there is no bound")
	}
	now = now.Add(partsPatience + 1)
	if err := add(part("more", 1, 0)); err != nil {
		t.Error(err)
	}
}

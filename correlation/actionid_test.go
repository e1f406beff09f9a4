package correlation

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestIDs_AnActionIDIsNeverLongerThanAsteriskEchoes(t *testing.T) {
	legal := regexp.MustCompile(`^[A-Za-z0-9._-]{1,67}$`)
	session := strings.Repeat("z", sessionLen)
	for node := 1; node <= 64; node++ {
		for server := 1; server <= 32; server++ {
			ids := NewIDs(strings.Repeat("N", node), strings.Repeat("s", server))
			for _, n := range []uint64{0, 1, numbers - 1, numbers, math.MaxUint64} {
				id := ids.ActionID(session, n)
				if !legal.MatchString(id) || strings.Count(id, ".") != 3 {
					t.Fatalf("node of %d, server of %d: %q has %d bytes", node, server, id, len(id))
				}
			}
		}
	}
}

func TestIDs_NamesNodeServerSessionAndNumber(t *testing.T) {
	if got := NewIDs("b1", "pbx1").ActionID("k3f9", 42); got != "b1.pbx1.k3f9.42" {
		t.Errorf("ActionID = %q", got)
	}
}

func TestIDs_ShortenedNodesStayApart(t *testing.T) {
	server := strings.Repeat("s", 32)
	a := NewIDs("ami-nats-bridge-6d4f7b9c55-x2x9z", server)
	b := NewIDs("ami-nats-bridge-6d4f7b9c55-q8wlk", server)
	if id := a.ActionID("k", 1); strings.HasPrefix(id, b.prefix) {
		t.Errorf("%q belongs to both", id)
	}
	for _, shorter := range []*IDs{NewIDs("b1", "pbx"), NewIDs("b", "pbx1")} {
		if id := NewIDs("b1", "pbx1").ActionID("k", 1); strings.HasPrefix(id, shorter.prefix) {
			t.Errorf("%q belongs to %s", id, shorter.prefix)
		}
	}
}

func TestIDs_SessionTokensSortByTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := NewIDs("b1", "pbx1")
		last := ids.Session()
		for i := range 100 {
			if i%10 == 0 {
				time.Sleep(time.Second)
			}
			next := ids.Session()
			if next[:len(next)-2] <= last[:len(last)-2] || len(next) > sessionLen {
				t.Fatalf("%q after %q", next, last)
			}
			last = next
		}
	})
}

// A clock that is set makes no token twice, and none that sorts before another.
func TestIDs_TokensStayApartWhenTheClockIsSet(t *testing.T) {
	ids, start, last := NewIDs("b1", "pbx1"), time.Now(), ""
	for i, jump := range []time.Duration{0, 0, -3 * time.Hour, -3 * time.Hour, 3 * time.Hour, 0, -1000 * time.Hour, 4 * time.Hour} {
		token := ids.session(start.Round(0).Add(jump))
		if token[:len(token)-2] <= last {
			t.Errorf("token %d, at %v, is %s after %s", i, jump, token, last)
		}
		last = token[:len(token)-2]
	}
}

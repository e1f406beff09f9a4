package actions

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What other bridges were asked for is counted where the request came, by what became of it,
// each once.
func TestElsewhere_WhatOthersWereAskedForIsCounted(t *testing.T) {
	p := newPair(t, nil)
	count := func(endpoint string, want map[string]uint64) {
		t.Helper()
		for _, result := range []string{"answered", "refused", "unled", "unanswered"} {
			want[result] += 0
		}
		sum := uint64(0)
		for _, n := range want {
			sum += n
		}
		natstest.Within(t, "all were counted", func() bool { n, _ := p.b1.endpoint(endpoint).Asked(); return n >= sum })
		n, ended := p.b1.endpoint(endpoint).Asked()
		if diff := cmp.Diff(want, ended); diff != "" || n != sum {
			t.Errorf("%s: %d asked (-want +got):\n%s", endpoint, n, diff)
		}
	}
	p.to(p.b1, requestFor("pbx1", "Ping", "")) // its own
	p.to(p.b1, requestFor("pbx2", "Ping", ""))
	p.to(p.b1, requestFor("sales", "Ping", ""))
	if all, _ := p.every(p.b1, requestFor("all", "Ping", "")); len(all) != 3 {
		t.Errorf("all: %v", all)
	}
	count("pbx1", map[string]uint64{})
	count("pbx2", map[string]uint64{"answered": 1})
	count("sales", map[string]uint64{"answered": 1})
	count("all", map[string]uint64{"answered": 2})

	p.leads["b2"]["pbx2"].Store(false) // its subscription is there still
	p.to(p.b1, requestFor("pbx2", "Originate", phone))
	count("pbx2", map[string]uint64{"answered": 1, "refused": 1})
	p.unlead()
	p.to(p.b1, requestFor("pbx2", "Originate", phone))
	count("pbx2", map[string]uint64{"answered": 1, "refused": 1, "unled": 1})
	p.mute()
	p.to(p.b1, requestFor("pbx2", "Originate", phone, "Ami-Timeout", "100ms"))
	count("pbx2", map[string]uint64{"answered": 1, "refused": 1, "unled": 1, "unanswered": 1})
}

// unlead has b2 take no requests for pbx2 any more, which NATS knows then.
func (p *pair) unlead() {
	p.t.Helper()
	err := p.b2.Lead("pbx2", false)
	if err == nil {
		err = p.b2.shared.others.conn.Get().FlushTimeout(natstest.Patience)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

package delivery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestCloudEvents_Headers(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.EventHeaders = s.ClientURL(), config.EventHeadersCloudEvents
	b, p := newBench(t, cfg, "pbx1", "pbx2")
	nc, _ := natstest.Client(t, s.ClientURL())
	sub, err := nc.SubscribeSync("ami.events.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	p.window.timeout = time.Hour
	startPublisher(t, p)
	for i, s := range b.servers {
		s.push(outbox.Entry{Subject: "ami.events." + s.name + ".Hangup", Session: "s1", Seq: uint64(i + 1), At: 1_700_000_000_000_000_000}, []byte("{}"), false)
		m, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		want := nats.Header{
			"ce-specversion":     {"1.0"},
			"ce-id":              {m.Header.Get("Nats-Msg-Id")},
			"ce-source":          {"/asterisk/" + s.name},
			"ce-type":            {"org.asterisk.ami.Hangup"},
			"ce-time":            {"2023-11-14T22:13:20.000000Z"},
			"ce-datacontenttype": {"application/json"},
		}
		for _, own := range []string{"Nats-Msg-Id", "Ami-Seq", "Ami-Time", "Nats-Expected-Stream"} {
			if m.Header.Get(own) == "" {
				t.Errorf("%s is missing", own)
			}
			m.Header.Del(own)
		}
		if diff := cmp.Diff(want, m.Header); diff != "" {
			t.Errorf("%s (-want +got): %s", s.name, diff)
		}
	}
}

// The headers cost nothing but what nats.go needs to write them.
func TestCloudEvents_AllocateNothing(t *testing.T) {
	c := new(cloudEvents)
	uri := sourceURI("pbx1")
	m := &nats.Msg{Subject: "ami.events.pbx1.Hangup", Header: nats.Header{"Nats-Msg-Id": {"x"}, "Ami-Time": {"y"}}}
	if got := costtest.Allocations(func() { c.describe(m, uri) }); got != 0 {
		t.Errorf("%v allocations an event", got)
	}
}

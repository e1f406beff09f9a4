package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
)

func TestLeaf_RefusesWhatDoesNotGoTogether(t *testing.T) {
	const url = "BRIDGE_NATS_LEAF_URL=nats://hub:7422"
	for _, test := range []struct {
		want string
		set  []string
	}{
		{"BRIDGE_NATS_LEAF_URL: and BRIDGE_NATS_URL exclude each other", []string{url, "BRIDGE_NATS_URL=nats://hub"}},
		{"BRIDGE_NATS_LEAF_URL: wants URLs", []string{"BRIDGE_NATS_LEAF_URL=nats://"}},
		{"BRIDGE_NATS_LEAF_DOMAIN: is for a leaf", []string{"BRIDGE_NATS_LEAF_DOMAIN=x"}},
		{"BRIDGE_NATS_LEAF_DOMAIN: wants 1 to 80", []string{url, "BRIDGE_NATS_LEAF_DOMAIN=a.b"}},
		{"BRIDGE_NATS_TOKEN: is not for leaves", []string{url, "BRIDGE_NATS_TOKEN=" + canary}},
		{"BRIDGE_DELIVERY: wants jetstream", []string{url, "BRIDGE_DELIVERY=core"}},
		{"BRIDGE_STREAMS: wants manage", []string{url, "BRIDGE_STREAMS=verify"}},
		{"BRIDGE_STREAM_REPLICAS: wants 1", []string{url, "BRIDGE_STREAM_REPLICAS=3"}},
	} {
		t.Run(test.want, func(t *testing.T) {
			setenv(t, one(test.set...)...)
			_, problems := loadSettings()
			if len(problems) != 1 || !strings.HasPrefix(problems[0], test.want) {
				t.Errorf("%q", problems)
			}
		})
	}
}

func TestLeaf_ItsPasswordIsShownNowhere(t *testing.T) {
	s := load(t, one("BRIDGE_NATS_LEAF_URL=nats://leaf:"+canary+"@hub:7422,tls://other")...)
	at := slices.IndexFunc(s.rows(), func(r row) bool { return r.name == "BRIDGE_NATS_LEAF_URL" })
	if got := s.rows()[at].value; got != "nats://[redacted]@hub:7422,tls://other" {
		t.Errorf("config shows %s", got)
	}
	hub, err := s.hub()
	if err != nil || len(hub.URLs) != 2 || hub.URLs[0].User.String() != "leaf:"+canary || hub.Domain != "amibridge-"+s.bridge.Node {
		t.Errorf("the hub is %+v (%v)", hub, err)
	}
}

func TestLeaf_CheckKnowsTheRightPort(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer embedded.Stop(srv)
	if !srv.ReadyForConnections(embedded.Ready) {
		t.Fatal("nats-server is not ready")
	}
	varz, err := srv.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		srv.Addr().String():                             "is a port for clients",
		fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port): "leafnode port of nats-server",
		asterisk(t):   "it is no nats-server",
		"127.0.0.1:1": "refused",
	} {
		s := load(t, one("BRIDGE_NATS_LEAF_URL=nats://leaf:"+canary+"@"+addr, "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0")...)
		f := checkNATS(t.Context(), s)
		var text bytes.Buffer
		fmt.Fprint(&text, f)
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), canary) {
			t.Errorf("%s: no %q in %s", addr, want, &text)
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestLeaf_CheckKnowsTheRightPort(t *testing.T) {
	srv := natstest.Serve(t, func(o *server.Options) {
		o.JetStream, o.LeafNode = false, server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT}
	})
	varz, err := srv.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		srv.Addr().String():                             "is a port for clients",
		fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port): "leafnode port of nats-server",
		asterisk(t):   "it is not a nats-server",
		"127.0.0.1:1": "refused",
	} {
		s := load(t, envtest.One("BRIDGE_NATS_LEAF_URL=nats://leaf:"+envtest.Canary+"@"+addr, "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0")...)
		f := checkNATS(t.Context(), s, noTime)
		var text bytes.Buffer
		fmt.Fprint(&text, f)
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), envtest.Canary) {
			t.Errorf("%s: no %q in %s", addr, want, &text)
		}
	}
}

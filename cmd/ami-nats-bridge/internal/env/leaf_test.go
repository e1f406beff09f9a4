package env

import (
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
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
		{"BRIDGE_NATS_TOKEN: is not for leaves", []string{url, "BRIDGE_NATS_TOKEN=" + envtest.Canary}},
		{"BRIDGE_DELIVERY: wants jetstream", []string{url, "BRIDGE_DELIVERY=core"}},
		{"BRIDGE_STREAMS: wants manage", []string{url, "BRIDGE_STREAMS=verify"}},
		{"BRIDGE_STREAM_REPLICAS: wants 1", []string{url, "BRIDGE_STREAM_REPLICAS=3"}},
	} {
		t.Run(test.want, func(t *testing.T) {
			envtest.Set(t, envtest.One(test.set...)...)
			_, problems := Load()
			if len(problems) != 1 || !strings.HasPrefix(problems[0], test.want) {
				t.Errorf("%q", problems)
			}
		})
	}
}

func TestLeaf_IsNotForBridgesThatShareServers(t *testing.T) {
	envtest.Set(t, envtest.One("BRIDGE_NATS_LEAF_URL=nats://hub:7422", "BRIDGE_HA=on")...)
	_, problems := Load()
	if !slices.ContainsFunc(problems, func(p string) bool {
		return strings.HasPrefix(p, "BRIDGE_NATS_LEAF_URL: does not go with BRIDGE_HA=on")
	}) {
		t.Errorf("%q", problems)
	}
}

func TestLeaf_ItsPasswordIsShownNowhere(t *testing.T) {
	s := loaded(t, envtest.One("BRIDGE_NATS_LEAF_URL=nats://leaf:"+envtest.Canary+"@hub:7422,tls://other")...)
	at := slices.IndexFunc(s.Rows(), func(r Row) bool { return r.Name == "BRIDGE_NATS_LEAF_URL" })
	if got := s.Rows()[at].Value; got != "nats://[redacted]@hub:7422,tls://other" {
		t.Errorf("config shows %s", got)
	}
	hub, err := s.Hub()
	if err != nil || len(hub.URLs) != 2 || hub.URLs[0].User.String() != "leaf:"+envtest.Canary || hub.Domain != "amibridge-"+s.Bridge.Node {
		t.Errorf("the hub is %+v (%v)", hub, err)
	}
}

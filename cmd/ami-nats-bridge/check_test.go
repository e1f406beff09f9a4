package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// A server may say anything, our own secret too.
func TestCheck_PrintsNoSecret(t *testing.T) {
	sim, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}})
	sim.Always("CoreSettings", amisim.Deny("not for "+envtest.Canary))
	password := envtest.Canary + "-nats"
	url := "nats://u:" + password + "@" + guardedNATS(t, password)
	for _, test := range []struct {
		secret, url string
		good        bool
		says        []string
	}{
		{envtest.Canary, url, true, []string{"CoreSettings: not for [redacted]", "logged in as bridge"}},
		{"wrong-" + envtest.Canary, "nats://u:wrong-" + envtest.Canary + "@" + strings.SplitAfter(url, "@")[1], false, []string{"Login refused", "Authorization Violation"}},
	} {
		s := load(t, envtest.One("BRIDGE_SERVER_PBX1_ADDR="+addr, "BRIDGE_SERVER_PBX1_SECRET="+test.secret, "BRIDGE_NATS_URL="+test.url)...)
		var out bytes.Buffer
		if good := check(t.Context(), &out, s); good != test.good {
			t.Errorf("good is %v:\n%s", good, &out)
		}
		for _, want := range test.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, &out)
			}
		}
		if strings.Contains(out.String(), envtest.Canary) {
			t.Errorf("a secret is printed:\n%s", &out)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
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
		if good := checked(t, &out, s); good != test.good {
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

// checked is whether nothing FAILs.
func checked(t *testing.T, out io.Writer, s *env.Settings) bool {
	t.Helper()
	good, err := (&checkCmd{}).check(t.Context(), stdio{out: out}, s)
	if err != nil {
		t.Error(err)
	}
	return good
}

func TestCheck_SumsUpAndSelects(t *testing.T) {
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": "right"}})
	url := natstest.Serve(t, nil).ClientURL()
	envtest.Set(t, "BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_AMI_USERNAME=bridge", "BRIDGE_NATS_URL="+url, "BRIDGE_HTTP_ADDR=",
		"BRIDGE_SERVER_PBX1_ADDR="+addr, "BRIDGE_SERVER_PBX1_SECRET=right", "BRIDGE_SERVER_PBX1_USERNAME=bridge",
		"BRIDGE_SERVER_PBX2_ADDR="+addr, "BRIDGE_SERVER_PBX2_SECRET=wrong", "BRIDGE_SERVER_PBX2_USERNAME=bridge")
	last := func(out string) string {
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		return lines[len(lines)-1]
	}
	out, _ := printed(t, 1, "check")
	if !regexp.MustCompile(`^\d+ ok, \d+ notes?, 1 failed: pbx2$`).MatchString(last(out)) || !strings.Contains(out, "NATS         ok    ") {
		t.Errorf("%s", out)
	}
	if out, _ = printed(t, 0, "check", "--server", "pbx1"); !regexp.MustCompile(`^\d+ ok, \d+ notes?, nothing failed$`).MatchString(last(out)) ||
		strings.Contains(out, "pbx2") || strings.Contains(out, "NATS ") {
		t.Errorf("of pbx1: %s", out)
	}
	if out, _ = printed(t, 0, "check", "-q", "--server", "pbx1"); out != "" {
		t.Errorf("quiet and well: %q", out)
	}
	if out, _ = printed(t, 1, "check", "--quiet"); strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, "pbx2         FAIL  ") {
		t.Errorf("quiet: %s", out)
	}
	if _, problems := printed(t, 2, "check", "--server", "pbx3"); !strings.Contains(problems, "no server in BRIDGE_SERVERS is called pbx3: the nearest is pbx1") {
		t.Errorf("%s", problems)
	}
	out, _ = printed(t, 1, "check", "-o", "json", "--server", "pbx2")
	var found finding
	var sum struct {
		OK, Fails int
		Failed    []string
	}
	lines := strings.Split(out, "\n")
	if err := json.Unmarshal([]byte(lines[0]), &found); err != nil || found.About != "pbx2" || found.Verdict != "FAIL" || !strings.Contains(found.Text, "Login refused") {
		t.Errorf("%s: %v", out, err)
	}
	if err := json.Unmarshal([]byte(last(out)), &sum); err != nil || sum.Fails != 1 || sum.Failed[0] != "pbx2" {
		t.Errorf("%s: %v", out, err)
	}
}

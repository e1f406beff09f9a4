package main

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/micro"
)

func TestVersion_IsASemVerWhateverIsKnown(t *testing.T) {
	setting := func(more ...string) (all []debug.BuildSetting) {
		for i := 0; i < len(more); i += 2 {
			all = append(all, debug.BuildSetting{Key: more[i], Value: more[i+1]})
		}
		return all
	}
	commit := setting("vcs.revision", "92f4d10abcde0123456789", "vcs.modified", "true")
	for name, test := range map[string]struct {
		release, module string
		settings        []debug.BuildSetting
		want            string
	}{
		"a release":             {"v1.2.3", "v0.0.0-20261129131530-92f4d10abcde+dirty", commit, "v1.2.3"},
		"commits after it":      {"v1.2.3-4-g92f4d10-dirty", "(devel)", nil, "v1.2.3-4-g92f4d10-dirty"},
		"no tag":                {"92f4d10-dirty", "(devel)", nil, "0.0.0-devel.92f4d10-dirty"},
		"a module":              {"", "v1.4.0", nil, "v1.4.0"},
		"a commit's module":     {"", "v0.0.0-20261129131530-92f4d10abcde+dirty", commit, "v0.0.0-20261129131530-92f4d10abcde+dirty"},
		"a commit":              {"", "(devel)", commit, "0.0.0-devel.92f4d10abcde+dirty"},
		"nothing":               {"", "(devel)", nil, "0.0.0-devel"},
		"nothing, not a module": {"", "", nil, "0.0.0-devel"},
	} {
		got := versionOf(test.release, &debug.BuildInfo{Main: debug.Module{Version: test.module}, Settings: test.settings})
		if got != test.want || !semVer.MatchString(got) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// The program's version is what nats micro shows. That it is what the linker is told
// integration/status has.
func TestVersion_IsWhatTheServiceShows(t *testing.T) {
	url, _ := bridged(t, "pbx1")
	m, err := dialNATS(t, url).Request("$SRV.INFO.ami-bridge", nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(m.Data, &info); err != nil || info.Version == "0.0.0" || info.Version != strings.TrimPrefix(version(), "v") {
		t.Errorf("the service is %q, the program %q, %v", info.Version, version(), err)
	}
}

// A refusal says what opened the breaker.
func TestCall_SaysWhyTheBreakerIsOpen(t *testing.T) {
	refused(t)
	_, problems := printed(t, 1, "call", "pbx1", "Ping")
	if !strings.HasPrefix(problems, "error: breaker open: auth: Login refused") || !strings.Contains(problems, "(sent: no, retry after ") {
		t.Errorf("%s", problems)
	}
}

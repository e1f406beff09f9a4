package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// reloading is a bridge that does not run, whose settings are in a file.
type reloading struct {
	t      *testing.T
	file   string
	bridge *bridge.Bridge
	r      *reloader
	logs   *observer.ObservedLogs
}

func newReloading(t *testing.T, environment, file []string) *reloading {
	t.Helper()
	l := &reloading{t: t, file: filepath.Join(t.TempDir(), "env")}
	l.write(file...)
	s := load(t, append(environment, "BRIDGE_ENV_FILE="+l.file)...)
	l.r = &reloader{redactor: newRedactor(s), level: zap.NewAtomicLevelAt(s.LogLevel)}
	core, logs := observer.New(l.r.level)
	l.logs = logs
	log := zap.New(core)
	l.r.start(s, log)
	var err error
	if l.bridge, err = bridge.New(s.Bridge, bridge.Deps{Logger: log, Learn: l.r.redactor.Add}); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *reloading) write(lines ...string) {
	l.t.Helper()
	if err := os.WriteFile(l.file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// reload reads the settings again and returns what is logged of them.
func (l *reloading) reload(lines ...string) (said []string) {
	l.t.Helper()
	l.write(lines...)
	l.logs.TakeAll()
	l.r.reload(l.bridge)
	return l.said()
}

func (l *reloading) said() (said []string) {
	for _, entry := range l.logs.TakeAll() {
		fields := entry.ContextMap()
		if entry.Message == "servers changed" {
			said = append(said, fmt.Sprint("info: servers changed ", fields["added"], " ", fields["removed"], " ", fields["restarted"]))
		}
		for _, key := range []string{"changed", "variables", "problems", "variable"} {
			if v, ok := fields[key]; ok {
				said = append(said, fmt.Sprint(entry.Level, ": ", entry.Message, " ", v))
			}
		}
		if strings.Contains(fmt.Sprint(entry.Message, fields), envtest.Canary) {
			l.t.Errorf("a secret is logged: %s %v", entry.Message, fields)
		}
	}
	return said
}

func TestReload_SaysWhatChangedAndWhatCannot(t *testing.T) {
	base := envtest.One("BRIDGE_NATS_URL=nats://n:4222", "BRIDGE_NATS_USER=u", "BRIDGE_NATS_PASSWORD="+envtest.Canary)
	l := newReloading(t, []string{"BRIDGE_AMI_SHED_FIRST=VarSet", "BRIDGE_AMI_READ_TIMEOUT=40s"}, append(base, "BRIDGE_AMI_READ_TIMEOUT=50s"))
	want := func(what string, said []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("%s (-want +got): %s", what, diff)
		}
	}
	hides := "warn: settings of BRIDGE_ENV_FILE that the environment hides [BRIDGE_AMI_READ_TIMEOUT]"
	want("at the start", l.said(), hides)
	want("nothing", l.reload(base...), "info: settings read again []")
	want("all that can", l.reload(append(base[:3:3], "BRIDGE_SERVER_PBX1_SECRET=new-"+envtest.Canary, "BRIDGE_NATS_URL=nats://n:4222", "BRIDGE_NATS_USER=u",
		"BRIDGE_NATS_PASSWORD=other-"+envtest.Canary, "BRIDGE_LOG_LEVEL=debug", "BRIDGE_ACTIONS_ALLOW=Command", "BRIDGE_AMI_EVENTS_DENY=VarSet",
		"BRIDGE_AMI_ACTION_RATES=Ping=5", "BRIDGE_SERVER_PBX1_ACTIONS_DENY=Originate")...),
		"info: settings read again [BRIDGE_ACTIONS_ALLOW BRIDGE_AMI_ACTION_RATES BRIDGE_AMI_EVENTS_DENY BRIDGE_LOG_LEVEL BRIDGE_NATS_PASSWORD "+
			"BRIDGE_SERVER_PBX1_ACTIONS_DENY BRIDGE_SERVER_PBX1_SECRET]")
	if l.r.level.Level() != zapcore.DebugLevel {
		t.Error("the log's level is", l.r.level.Level())
	}
	if got := l.r.redactor.Line("say new-" + envtest.Canary + " and other-" + envtest.Canary); got != "say [redacted] and [redacted]" {
		t.Errorf("the log does not know the new secrets: %q", got)
	}
	fixed := append(base, "BRIDGE_NODE=other", "BRIDGE_AMI_SESSIONS=1", "BRIDGE_SERVER_PBX1_EVENTS=call,dialplan", "BRIDGE_GROUP_X=pbx1",
		"BRIDGE_LOG_REDACT_PATTERN="+envtest.Canary, "BRIDGE_CONNECT_RATE=50.0")
	cannot := "warn: settings that cannot change before a restart [BRIDGE_LOG_REDACT_PATTERN BRIDGE_NODE]"
	back := "info: settings read again [BRIDGE_ACTIONS_ALLOW BRIDGE_AMI_ACTION_RATES BRIDGE_AMI_EVENTS_DENY BRIDGE_AMI_SESSIONS BRIDGE_GROUP_X BRIDGE_LOG_LEVEL " +
		"BRIDGE_NATS_PASSWORD BRIDGE_SERVER_PBX1_ACTIONS_DENY BRIDGE_SERVER_PBX1_EVENTS BRIDGE_SERVER_PBX1_SECRET]"
	want("what cannot, and the rest back", l.reload(fixed...), back, "info: servers changed [] [] [pbx1]", cannot)
	want("what cannot, once more", l.reload(fixed...), "info: settings read again []", cannot)
	two := append(slices.Clone(base[1:]), "BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_SERVER_PBX2_ADDR=h:1", "BRIDGE_SERVER_PBX2_USERNAME=u", "BRIDGE_SERVER_PBX2_SECRET="+envtest.Canary)
	want("a server that comes, and what belongs to it", l.reload(two...),
		"info: settings read again [BRIDGE_AMI_SESSIONS BRIDGE_GROUP_X BRIDGE_SERVERS BRIDGE_SERVER_PBX1_EVENTS]", "info: servers changed [pbx2] [] [pbx1]")
	want("what belongs to it", l.reload(append(two, "BRIDGE_SERVER_PBX2_EVENTS=call")...),
		"info: settings read again [BRIDGE_SERVER_PBX2_EVENTS]", "info: servers changed [] [] [pbx2]", "warn: setting without effect BRIDGE_AMI_SHED_FIRST")
	want("it goes, and what belongs to it", l.reload(base...), "info: settings read again [BRIDGE_SERVERS]", "info: servers changed [] [pbx2] []")
	want("the kind of credentials", l.reload(append(slices.Clone(base[:5]), "BRIDGE_NATS_TOKEN="+envtest.Canary)...),
		"info: settings read again []", "warn: settings that cannot change before a restart [BRIDGE_NATS_PASSWORD BRIDGE_NATS_TOKEN BRIDGE_NATS_USER]")
	want("what has no effect", l.reload(append(slices.Clone(base), "BRIDGE_AMI_EVENTS_DENY=VarSets", "BRIDGE_AMI_SHED_FIRST=Hangup")...),
		"info: settings read again [BRIDGE_AMI_EVENTS_DENY]", "warn: setting without effect BRIDGE_AMI_EVENTS_DENY",
		"warn: settings of BRIDGE_ENV_FILE that the environment hides [BRIDGE_AMI_SHED_FIRST]")
}

// A file that leaves no server, or less than half of them, changes nothing before it is
// read twice.
func TestReload_FewServersWantASecondWord(t *testing.T) {
	lines := func(names ...string) []string {
		all := []string{"BRIDGE_AMI_USERNAME=u", "BRIDGE_AMI_SECRET=" + envtest.Canary, "BRIDGE_SERVERS=" + strings.Join(names, ",")}
		for _, name := range names {
			all = append(all, "BRIDGE_SERVER_"+strings.ToUpper(name)+"_ADDR=h:1")
		}
		return all
	}
	l := newReloading(t, nil, lines("a", "b", "c", "d"))
	go1 := "error: settings not read again: nothing has changed [BRIDGE_SERVERS: "
	for i, step := range []struct {
		lines []string
		want  []string
	}{
		{lines("a"), []string{go1 + "3 of 4 servers would go: b c d; SIGHUP once more has them go]"}},
		{lines("b"), []string{go1 + "3 of 4 servers would go: a c d; SIGHUP once more has them go]"}}, // others
		{lines("a", "b", "c", "d"), []string{"info: settings read again []"}},
		{lines("b"), []string{go1 + "3 of 4 servers would go: a c d; SIGHUP once more has them go]"}},
		{lines("b"), []string{"info: settings read again [BRIDGE_SERVERS]", "info: servers changed [] [a c d] []"}},
		{lines("b", "a"), []string{"info: settings read again [BRIDGE_SERVERS]", "info: servers changed [a] [] []"}},
		{lines("a"), []string{"info: settings read again [BRIDGE_SERVERS]", "info: servers changed [] [b] []"}}, // half of them
		{lines(), []string{go1 + "1 of 1 servers would go: a; SIGHUP once more has them go]"}},
		{lines(), []string{"info: settings read again [BRIDGE_SERVERS]", "info: servers changed [] [a] []"}},
		{lines(), []string{"info: settings read again []"}},
		{lines("c"), []string{"info: settings read again [BRIDGE_SERVERS]", "info: servers changed [c] [] []"}},
		{[]string{}, []string{go1 + "1 of 1 servers would go: c; SIGHUP once more has them go]"}},
	} {
		if diff := cmp.Diff(step.want, l.reload(step.lines...)); diff != "" {
			t.Errorf("step %d (-want +got): %s", i+1, diff)
		}
	}
}

// What a file says of servers has to go with what stays in force until a restart, whatever
// the file says of that.
func TestReload_AServerThatDoesNotGoWithWhatStaysChangesNothing(t *testing.T) {
	for _, test := range []struct {
		start, file []string
		want        string
	}{
		{[]string{"BRIDGE_HA=on"}, []string{"BRIDGE_HA=off", "BRIDGE_AMI_SHED_FIRST=VarSet"}, "BRIDGE_AMI_SHED_FIRST: does not go with BRIDGE_HA=on"},
		{[]string{"BRIDGE_HA=on"}, []string{"BRIDGE_HA=off", "BRIDGE_SERVER_PBX1_SESSIONS=1"}, "BRIDGE_SERVER_PBX1_SESSIONS: wants 2 with BRIDGE_HA=on"},
		{nil, []string{"BRIDGE_IDEMPOTENCY_WINDOW=10m", "BRIDGE_AMI_ACTION_TIMEOUT=5m"}, "BRIDGE_IDEMPOTENCY_WINDOW: wants more than the longest BRIDGE_AMI_ACTION_TIMEOUT"},
	} {
		base := envtest.One("BRIDGE_NATS_URL=nats://n:4222")
		l := newReloading(t, nil, append(slices.Clone(base), test.start...))
		got := l.reload(append(slices.Clone(base), test.file...)...)
		if len(got) != 1 || !strings.HasPrefix(got[0], "error: settings not read again: nothing has changed ["+test.want) || !strings.HasSuffix(got[0], ", which is in force until a restart]") {
			t.Errorf("%q: %q", test.file, got)
		}
	}
	l := newReloading(t, nil, envtest.One("BRIDGE_NATS_URL=nats://n:4222", "BRIDGE_HA=on", "BRIDGE_HA_WEIGHT=2"))
	want := []string{
		"info: settings read again []", "warn: settings that cannot change before a restart [BRIDGE_HA BRIDGE_HA_SILENCE BRIDGE_HA_WEIGHT]",
		"warn: setting without effect BRIDGE_HA_SILENCE",
	}
	if got := l.reload(envtest.One("BRIDGE_NATS_URL=nats://n:4222", "BRIDGE_HA_SILENCE=2s")...); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// With a problem, whatever it is, nothing changes.
func TestReload_AFileWithAnErrorChangesNothing(t *testing.T) {
	base := envtest.One("BRIDGE_ACTIONS_ALLOW=Command")
	l := newReloading(t, nil, base)
	for what, lines := range map[string][]string{
		"[BRIDGE_AMI_SESSIONS: wants 1 or 2]":                                   append(slices.Clone(base), "BRIDGE_LOG_LEVEL=debug", "BRIDGE_AMI_SESSIONS=3"),
		"[BRIDGE_ENV_FILE: line 6 wants NAME=value]":                            append(slices.Clone(base), envtest.Canary, "BRIDGE_LOG_LEVEL=debug"),
		"[BRIDGE_LOG_LEVLE: is not a setting; the nearest is BRIDGE_LOG_LEVEL]": append(slices.Clone(base), "BRIDGE_LOG_LEVLE=debug", "BRIDGE_LOG_LEVEL=debug"),
		"[BRIDGE_NATS_TOKEN_FILE: its file cannot be read: it is a directory]":  append(slices.Clone(base), "BRIDGE_NATS_TOKEN_FILE="+t.TempDir(), "BRIDGE_LOG_LEVEL=debug"),
	} {
		if got, want := l.reload(lines...), "error: settings not read again: nothing has changed "+what; !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
		if l.r.level.Level() != zapcore.InfoLevel {
			t.Errorf("%s: the level changed", what)
		}
	}
	if err := os.Remove(l.file); err != nil {
		t.Fatal(err)
	}
	l.logs.TakeAll()
	l.r.reload(l.bridge)
	if got, want := l.said(), "error: settings not read again: nothing has changed [BRIDGE_ENV_FILE: its file cannot be read: no such file or directory"; len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("without the file: %q", got)
	}
	if got := l.reload(base...); !slices.Equal(got, []string{"info: settings read again []"}) {
		t.Errorf("after all of that: %q", got)
	}
}

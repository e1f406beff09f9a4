package main

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// A flag or an argument that is empty, as a script's variable may be, is refused before
// anything is asked: it would select all.
func TestErrors_NothingIsNoValue(t *testing.T) {
	envtest.Set(t, "BRIDGE_NATS_URL=nats://127.0.0.1:1")
	for _, line := range []string{
		"replay --call ''", "replay --call=", "replay --find ''", "replay --from", "replay --from ''", "replay --event ''", "replay --server ''", "tail --server ''", "tail ''",
		"tail --event=", "state ''", "state pbx1 ''", "state pbx9 --purge --confirm ''", "audit --action ''", "audit --requester ''", "audit --verify --node ''",
		"audit --verify --expect ''", "call '' Ping", "call pbx1 ''", "call pbx1 Ping --key ''", "call all Ping --group ''", "call pbx1 Ping --columns ''", "call pbx1 Ping --nats ''",
		"call pbx1 Ping --context ''", "check --server ''", "check --replay-audit ''", "help ''", "man ''",
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.TrimSuffix(args[i], "''")
		}
		if out, problems := printed(t, 2, args...); out != "" || !strings.Contains(problems, ": wants a value, not nothing (see ami-nats-bridge ") {
			t.Errorf("%s: %s%s", line, out, problems)
		}
	}
	if _, problems := printed(t, 2, "call", "pbx1", "QueueStatus", "Queue=", "--timeout", "5"); !strings.Contains(problems, "--timeout: wants a time with its unit, such as 20s or 5m, not \"5\"") {
		t.Error(problems)
	}
}

// What cannot select anything, or is not understood, is refused with what may stand there.
func TestErrors_SayWhatMayStandThere(t *testing.T) {
	envtest.Set(t, "BRIDGE_NATS_URL=nats://127.0.0.1:1")
	for line, want := range map[string]string{
		"call pbx1 QueueStatus sales": `"sales" is not Key=Value; QueueStatus takes Queue, Member (see`,
		"call pbx1 Ping x":            `"x" is not Key=Value (see`,
		"call pbx1 Originate x":       "Originate takes Channel, ",
		"state pbx1 chanel":           "no kind of what is up is called chanel: the nearest is channel; there are channel, bridge, queue, ",
		"state pbx1 Channel":          "no kind of what is up is called Channel: the nearest is channel; there are channel, ",
		"state pbx1 --count 5":        "--count wants --watch, and 1 or more",
		"state --watch --count -1":    "--count wants --watch, and 1 or more",
		"tail --count -1":             "--count wants 1 or more",
		"audit --outcome succes":      "; there are answered, ",
		"audit --decision deny":       "; there are allowed, refused",
		"demo --for 5":                "--for: wants a time with its unit",
		"demo --for":                  "--for: wants a time with its unit",
	} {
		if out, problems := printed(t, 2, strings.Fields(line)...); out != "" || !strings.Contains(problems, want) {
			t.Errorf("%s: %s%s, want %s", line, out, problems, want)
		}
	}
}

// A server that the state does not have is told with the nearest that it has.
func TestState_SaysWhichServersThereAre(t *testing.T) {
	stateBucket(t)
	for server, want := range map[string]string{"PBX1": ": no server in AMI_STATE is called PBX1: the nearest is pbx1", "pbx2": ": the nearest is pbx1"} {
		if _, problems := printed(t, 1, "state", server); !strings.HasPrefix(problems, "nothing is up there, and no bridge writes it") || !strings.Contains(problems, want) {
			t.Errorf("%s: %s", server, problems)
		}
	}
}

// Of the columns that are asked for the case does not matter; that none is called so is told,
// once, with the nearest, and a list that has none of them is not begun.
func TestCall_SaysWhichColumnsThereAre(t *testing.T) {
	bridged(t, "pbx1 pbx2")
	out, problems := printed(t, 0, "call", "pbx1", "QueueStatus", "--columns", "name,PAUSED")
	if problems != "" || !strings.Contains(out, "  Name ") || !strings.Contains(out, "Paused") || strings.Contains(out, "QueueParams") {
		t.Errorf("%s%s", out, problems)
	}
	out, problems = printed(t, 0, "call", "all", "QueueStatus", "--columns", "Nam,Queue")
	if strings.Count(problems, "--columns: no event of this list has Nam: the nearest is Name\n") != 1 || !strings.Contains(out, "QueueParams") {
		t.Errorf("%s%s", out, problems)
	}
}

// A server in the subject that --server leaves out is told at once.
func TestTail_SubjectAndServerAgree(t *testing.T) {
	for _, test := range []struct {
		subject, server, note string
	}{
		{"ami.events.pbx1.Hangup", "pbx2", "ami.events.pbx1.Hangup names the server pbx1, which --server leaves out"},
		{"ami.audit.pbx1.>", "sales*", "ami.audit.pbx1.> names the server pbx1, which --server leaves out"},
		{"ami.status.pbx1.gap", "pbx*", ""}, {"ami.events.*.Hangup", "pbx2", ""}, {"ami.events.pbx[12].Hangup", "pbx2", ""}, {"ami.nodes.b1", "pbx2", ""}, {"ami.>", "pbx2", ""},
	} {
		f, err := (&tailCmd{Subject: test.subject, Server: []string{test.server}}).filter("ami")
		if got := strings.Join(f.notes, "; "); err != nil || got != test.note {
			t.Errorf("%s, %s: %q, %v", test.subject, test.server, got, err)
		}
	}
}

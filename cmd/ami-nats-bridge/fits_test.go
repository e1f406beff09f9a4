package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// fitting are the commands whose lines a terminal shows whole, with what they show in the
// narrowest one.
var fitting = map[string]string{
	"audit --from -1h":                      "OUTCOME",
	"replay --from -10m --event Newchannel": "Newch",
	"replay --find PJSIP/alice --from -10m": "not shown (-o json): ",
	"replay --call " + storyID:              "AgentConnect",
	"state":                                 "not shown (-o json): ",
	"state pbx1 member":                     "李雷",
	"call pbx1 QueueStatus":                 "not shown (--columns): ",
	"call pbx1 QueueStatus --columns Name":  "李雷",
	"call all CoreShowChannels":             "pbx2",
	"tail QueueMemberStatus --count 3":      "QueueMemberStatus",
	"status":                                "pbx1",
	"top":                                   "pbx1",
}

// fitTerminals has commands print to terminals of several widths: no line is wider, counted as
// a terminal counts, whatever the names in it are.
func fitTerminals(t *testing.T) {
	t.Helper()
	t.Setenv("NO_COLOR", "1")
	t.Setenv("TERM", "xterm")
	t.Setenv("LC_ALL", "C.UTF-8")
	for line, want := range fitting {
		for _, columns := range []uint16{40, 80, 200} {
			file, shown := terminalOf(t, columns)
			var problems bytes.Buffer
			code := run(append([]string{"ami-nats-bridge"}, strings.Fields(line)...), stdio{"ami-nats-bridge", file, &problems})
			text := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(shown(), "")
			if code == 2 || columns == 40 && !strings.Contains(text, want) {
				t.Errorf("%s in %d columns: exit code %d, no %q: %s\n%s", line, columns, code, want, &problems, text)
			}
			for row := range strings.Lines(text) {
				if n := terminal.Width(strings.TrimRight(row, "\r\n")); n > int(columns) {
					t.Errorf("%s in %d columns: %d in %q", line, columns, n, row)
				}
			}
		}
	}
}

// Where there is nothing, that is what is said, at any width.
func TestOutput_OfNothing(t *testing.T) {
	a := newArchive(t)
	envtest.Set(t, "BRIDGE_NATS_URL="+a.url, "BRIDGE_HTTP_ADDR=127.0.0.1:1")
	t.Setenv("NO_COLOR", "1")
	for line, want := range map[string]string{
		"replay --from -1h":                  "0 events in ",
		"replay --find PJSIP/a":              "no call of PJSIP/a since ",
		"replay --call 1.1":                  `no event of call "1.1" there`,
		"audit":                              "0 records",
		"audit --verify":                     "the stream",
		"state":                              "there is no bucket AMI_STATE: is a bridge running there, with BRIDGE_STATE=on?",
		"call pbx1 Ping":                     "no bridge serves ami.actions.pbx1 on ",
		"status --nats nats://127.0.0.1:1/":  "127.0.0.1:1",
		"replay --stream AMI_EVENTS -o json": "0 events in ",
	} {
		for _, columns := range []uint16{40, 200} {
			file, shown := terminalOf(t, columns)
			var problems bytes.Buffer
			run(append([]string{"ami-nats-bridge"}, strings.Fields(line)...), stdio{"ami-nats-bridge", file, &problems})
			if text := shown() + problems.String(); !strings.Contains(text, want) {
				t.Errorf("%s says %q, want %q", line, text, want)
			}
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// clock is what the table says of the time, which is local.
var clock = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  `)

func TestReplay_Table(t *testing.T) {
	a := newArchive(t)
	a.story()
	out, problems := printed(t, 0, "replay", "--from", "-1h")
	lines := strings.Split(clock.ReplaceAllString(out, ""), "\n")
	for i, want := range []string{
		`pbx1  Newchannel         Channel=PJSIP/alice-00000001 ChannelStateDesc=Up CallerIDNum=100 CallerIDName=Alice Exten=800`,
		`pbx2  Hangup             Channel=PJSIP/else-1 Cause=16`,
		`pbx1  Newchannel         Channel=PJSIP/bob-00000002 ChannelStateDesc=Down`,
		`pbx1  QueueCallerJoin    Queue=support Position=1 Channel=PJSIP/alice-00000001 CallerIDNum=100 CallerIDName=Alice`,
		`pbx1  === GAP ===        overflow, 2 lost, from `,
		`pbx1  AgentConnect       Queue=support MemberName=Bob HoldTime=1 Channel=PJSIP/alice-00000001 DestChannel=PJSIP/bob-00000002 CallerIDNum=100`,
	} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d: %s\nwant    %s", i, lines[i], want)
		}
	}
	if !strings.Contains(out, "=== MISSING ===         3 left out by the bridge's filters, or gone from the stream\n") {
		t.Errorf("no missing events in\n%s", out)
	}
	if !regexp.MustCompile(`^11 events in \d.*; 1 Gaps: 2 lost; 3 more numbers are missing: .*\n$`).MatchString(problems) {
		t.Errorf("sums up: %s", problems)
	}
	if out, problems := printed(t, 0, "replay", "--event", "Hangup", "--server", "pbx2"); strings.Count(out, "\n") != 2 ||
		strings.Contains(problems, "missing") {
		t.Errorf("of pbx2 %s%s", out, problems)
	}
	if out, _ := printed(t, 0, "replay", "--to=-1h"); out != "" {
		t.Errorf("before the story %s", out)
	}
}

func TestReplay_JSON(t *testing.T) {
	a := newArchive(t)
	a.story()
	out, _ := printed(t, 0, "replay", "-o", "json", "--event=Agent*")
	var lines []struct {
		Subject string
		Seq     int
		AmiSeq  string `json:"ami_seq"`
		Time    string
		Event   map[string]string
	}
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		lines = append(lines, struct {
			Subject string
			Seq     int
			AmiSeq  string `json:"ami_seq"`
			Time    string
			Event   map[string]string
		}{})
		if err := d.Decode(&lines[len(lines)-1]); err != nil {
			t.Fatal(err)
		}
	}
	// The Gap comes along, so that no gap is hidden.
	if len(lines) != 2 || lines[0].Event["Event"] != "Gap" || lines[1].Subject != "ami.events.pbx1.AgentConnect" ||
		lines[1].Seq != 6 || lines[1].AmiSeq != "s1:6" || lines[1].Event["MemberName"] != "Bob" || lines[1].Time == "" {
		t.Errorf("%+v", lines)
	}
}

func TestReplay_AMI(t *testing.T) {
	a := newArchive(t)
	a.story()
	a.event("pbx1", a.story(), "Event", "Forged", "A", "b\r\n\r\nEvent: Hangup")
	out, problems := printed(t, 1, "replay", "-oami", "--server=pbx1")
	if !strings.HasPrefix(out, "Event: Newchannel\r\nChannel: PJSIP/alice-00000001\r\n") || !strings.Contains(out, "\r\n\r\nEvent: Gap\r\nFrom: ") {
		t.Errorf("%q", out)
	}
	if !strings.Contains(problems, "sequence 25, ami.events.pbx1.Forged, cannot be written as AMI") {
		t.Errorf("said %s", problems)
	}
	n := 0
	for r := frames.NewReader(bytes.NewReader([]byte(out)), 1<<20); ; n++ {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || f.Kind() != frames.KindEvent || string(f.Name()) == "Forged" {
			t.Fatalf("%v, %s", err, f.Name())
		}
	}
	if n != 20 {
		t.Errorf("%d events", n)
	}
}

func TestReplay_ACall(t *testing.T) {
	a := newArchive(t)
	a.story()
	out, problems := printed(t, 0, "replay", "--call", storyID)
	if !regexp.MustCompile(`^9 events in \d.*; 1 Gaps: 2 lost\n$`).MatchString(problems) {
		t.Errorf("sums up: %s", problems)
	}
	_, rest, _ := strings.Cut(out, "\n")
	want := `      +0.000  Newchannel               PJSIP/alice-00000001                       state=Up  caller="100 Alice"
      +0.010  Newchannel               PJSIP/bob-00000002                         state=Down
      +0.020  QueueCallerJoin          PJSIP/alice-00000001                       queue=support  position=1
      +0.030  === GAP ===              overflow, 2 lost, from ` + shortTime("2026-11-24T10:00:00Z", time.Now()) + ` to ` + shortTime("2026-11-24T10:00:01Z", time.Now()) + `
      +1.500  AgentConnect             PJSIP/alice-00000001 > PJSIP/bob-00000002  state=Up  caller="100 Alice"  queue=support  agent=Bob  hold=1
      +1.600  BridgeEnter              PJSIP/alice-00000001                       bridge=b-1
      +1.700  BridgeVideoSourceUpdate  -                                          bridge=b-1
      +1.800  OldStyle                 PJSIP/bob-00000002
      +9.000  Hangup                   PJSIP/alice-00000001                       cause="16 Normal Clearing"

`
	got, other, _ := strings.Cut(rest, "pbx2: from ")
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if first, _, _ := strings.Cut(out, " from "); first != "pbx1:" || !strings.Contains(out, "for 9s, 8 events, 2 channels, 1 bridges\n") {
		t.Errorf("begins %s", out)
	}
	if !strings.Contains(other, "1 events") || !strings.Contains(other, "SIP/x") {
		t.Errorf("the same Linkedid on pbx2: %s", other)
	}
	if out, _ := printed(t, 0, "replay", "--call", storyID, "-ojson", "--server", "pbx1"); strings.Count(out, "\n") != 9 {
		t.Errorf("as JSON %s", out)
	}
	printed(t, 1, "replay", "--call", "1.1")
}

// squeeze leaves one blank where there are more.
func squeeze(text string) string { return regexp.MustCompile(` +`).ReplaceAllString(text, " ") }

func TestReplay_RefusesWhatMakesNoSense(t *testing.T) {
	newArchive(t)
	for _, args := range [][]string{
		{"replay", "--from", "tomorrow"}, {"replay", "--server", "a.b"}, {"replay", "--call", "1.1", "--event", "Hangup"},
		{"replay", "--speed", "2"}, {"replay", "--pace=original", "--speed=0x"}, {"replay", "-o", "xml"},
		{"audit", "--verify", "--server", "pbx1"}, {"audit", "--expect", strings.Repeat("a", 64)}, {"audit", "--verify", "--expect", "zz"},
	} {
		printed(t, 2, args...)
	}
	printed(t, 1, "replay", "--stream", "NONE")
}

// With the pace of the original an event is on the screen when it is due.
func TestReplay_OriginalPace(t *testing.T) {
	a := newArchive(t)
	a.story()
	if out, _ := printed(t, 0, "replay", "--pace", "original", "--speed", "1000x"); strings.Count(out, "\n") != 13 {
		t.Errorf("%s", out)
	}
}

// What matches nothing is said, with the nearest that is there.
func TestReplay_SaysWhatMatchesNothing(t *testing.T) {
	a := newArchive(t)
	a.story()
	a.record("pbx1", "Originate", time.Now(), `"phase":"outcome"`)
	for args, want := range map[string]string{
		"replay --server pbx7":                   "no server in AMI_EVENTS is called pbx7: the nearest is pbx1\n",
		"replay --event hangup":                  "no event in AMI_EVENTS is called hangup: the nearest is Hangup\n",
		"replay --event queuecaller*":            "no event in AMI_EVENTS is called queuecaller*: the nearest is QueueCallerJoin\n",
		"replay --server PBX*":                   "no server in AMI_EVENTS is called PBX*: the nearest is pbx1\n",
		"replay --event DialEnd --server pbx2":   "AMI_EVENTS has no DialEnd\n",
		"audit --action originate":               "no Action in AMI_AUDIT is called originate: the nearest is Originate\n",
		"audit --server lab --action Originate":  "no server in AMI_AUDIT is called lab: the nearest is pbx1\n",
		"replay --call 1763980000.42 --server x": "no event of call",
	} {
		if _, problems := printed(t, 1, strings.Fields(args)...); !strings.Contains(problems, want) {
			t.Errorf("%s: %s", args, problems)
		}
	}
	// Of several, the one that is not there; the others are shown.
	out, problems := printed(t, 0, "replay", "--event", "Hangup,hangpu")
	if !strings.Contains(out, "Hangup") || !strings.Contains(problems, "is called hangpu: the nearest is Hangup") {
		t.Errorf("%s%s", out, problems)
	}
	// What is there, though not at that time, is no mistake.
	if _, problems := printed(t, 0, "replay", "--event", "Hangup", "--to=-1h"); strings.Contains(problems, "called") {
		t.Errorf("%s", problems)
	}
}

func TestReplay_FindsTheCallsOfANumber(t *testing.T) {
	a := newArchive(t)
	a.story()
	for _, what := range []string{"100", "PJSIP/alice", "800"} {
		out, problems := printed(t, 0, "replay", "--find", what, "--from", "-2h")
		if want := `BEGAN LINKEDID CALLER CALLED LASTED SERVER END CHANNELS
1763980000.42 100 800 9s pbx1 Normal Clearing 1
`; squeeze(regexp.MustCompile(`(?m)^\d{4}-\S+ \S+ +`).ReplaceAllString(out, "")) != want || problems != "1 calls; one of them in full: replay --call LINKEDID; 1 Gaps: 2 lost\n" {
			t.Errorf("%s: %s%s", what, out, problems)
		}
	}
	out, _ := printed(t, 0, "replay", "--find", "100", "-o", "json")
	var f struct {
		Linkedid, Server string
		Lasted           float64
	}
	if err := json.Unmarshal([]byte(out), &f); err != nil || f.Linkedid != storyID || f.Server != "pbx1" || f.Lasted != 9 {
		t.Errorf("%s: %v", out, err)
	}
	_, problems := printed(t, 1, "replay", "--find", "+4930", "--server", "pbx7")
	if !strings.Contains(problems, "no call of +4930 since ") || !strings.Contains(problems, "called pbx7: the nearest is pbx1") {
		t.Error(problems)
	}
	for _, args := range []string{"--find 1 --call 1", "--find 1 --event Hangup", "--find 1 -o ami", "--find 1 --pace original"} {
		printed(t, 2, append([]string{"replay"}, strings.Fields(args)...)...)
	}
}

// A reading from a time of which the stream has nothing any more says where that begins; one of all that there ever was does not.
func TestReplay_SaysWhereTheStreamBegins(t *testing.T) {
	a := newArchive(t)
	envtest.Set(t, envtest.One("BRIDGE_NATS_URL="+a.url)...)
	a.story()
	for range 2 {
		a.record("pbx1", "Ping", time.Now(), `"phase":"outcome"`)
	}
	commands := []string{"replay --from -7d", "replay --from -7d --server pbx2", "replay --find 100", "replay --find 100 --from -7d", "replay --call " + storyID, "audit --from -7d", "check --replay-audit 7d"}
	says := func(want string) {
		t.Helper()
		for _, command := range commands {
			var stdout, stderr bytes.Buffer
			run(append([]string{"ami-nats-bridge"}, strings.Fields(command)...), stdio{"ami-nats-bridge", &stdout, &stderr})
			if got := strings.Count(stdout.String()+stderr.String(), " begins at "); got != map[string]int{"all": 0, "not all": 1}[want] {
				t.Errorf("of %s: %s says so %d times\n%s%s", want, command, got, &stdout, &stderr)
			}
		}
	}
	says("all")
	for _, name := range []string{"AMI_EVENTS", "AMI_AUDIT"} {
		stream, err := a.js.Stream(t.Context(), name)
		if err == nil {
			err = stream.Purge(t.Context(), jetstream.WithPurgeSequence(2))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	says("not all")
	commands = []string{"replay", "audit", "replay --from -10s", "audit --from -10s"}
	says("all")
}

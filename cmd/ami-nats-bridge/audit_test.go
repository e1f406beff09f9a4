package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestAudit_SelectsAndShows(t *testing.T) {
	a := newArchive(t)
	now := time.Now()
	a.record("pbx1", "Originate", now.Add(-2*time.Hour), `"phase":"intent","requester":"crm/7","decision":"allowed"`)
	a.record("pbx1", "Originate", now.Add(-2*time.Hour), `"phase":"outcome","requester":"crm/7","decision":"allowed","outcome":"timeout","code":504,"sent":"unknown","error":"no response"`)
	a.record("pbx2", "Ping", now.Add(-time.Minute), `"phase":"outcome","nats_request_info":{"acc":"APPS","user":"dialer"},"requester":"bob","decision":"refused","rule":"ACTIONS_DENY=Ping","outcome":"forbidden","code":403,"sent":"no"`)
	a.store(&nats.Msg{Subject: "ami.audit.pbx1.Ping", Data: []byte("\x1b no record")})
	if _, problems := printed(t, 0, "audit"); !strings.HasSuffix(problems, "; chain: BROKEN in 1 places: audit --verify names them\n") {
		t.Errorf("ends with %q", problems)
	}
	for args, want := range map[string]int{
		"": 4, "--server pbx1": 3, "--action Orig*": 2, "--from -1h": 2, "--to -1h": 2, "--requester crm*": 3, "--requester dialer": 2,
		"--decision refused": 2, "--outcome intent": 2, "--outcome t*,forbidden": 3, "--server pbx1 --outcome timeout": 2,
	} {
		out, problems := printed(t, 0, append([]string{"audit"}, strings.Fields(args)...)...)
		if n := strings.Count(out, "\n") - 1; n != want || !strings.Contains(problems, "records") {
			t.Errorf("%s: %d lines, want %d\n%s%s", args, n, want, out, problems)
		}
	}
	out, _ := printed(t, 0, "audit")
	lines := strings.Split(squeeze(clock.ReplaceAllString(out, "")), "\n")
	for i, want := range []string{
		"WHEN WHO → WHAT → WHOM OUTCOME",
		"crm/7 → Originate → pbx1 intent: recorded before it is sent",
		"crm/7 → Originate → pbx1 timeout 504: no response (it may have been done)",
		"dialer as bob → Ping → pbx2 refused, forbidden 403: ACTIONS_DENY=Ping (nothing was sent)",
		"ami.audit.pbx1.Ping: no record of a bridge: \uFFFD no record",
	} {
		if lines[i] != want {
			t.Errorf("%q, want %q", lines[i], want)
		}
	}
	a.record("pbx3", "Ping", now, `"phase":"refusals","decision":"refused","count":40,"first":"a","last":"b","outcomes":{"forbidden":30,"busy":10}`)
	if out, _ = printed(t, 0, "audit", "--outcome", "busy"); !strings.Contains(squeeze(out), "- → Ping → pbx3 refused: 40 requests from a to b: 10 busy, 30 forbidden") {
		t.Errorf("many refusals: %s", out)
	}
	out, _ = printed(t, 0, "audit", "-o", "json", "--server", "pbx2")
	var line struct {
		Seq    int
		Record struct{ Rule string }
	}
	if err := json.Unmarshal([]byte(out), &line); err != nil || line.Seq != 3 || line.Record.Rule != "ACTIONS_DENY=Ping" {
		t.Errorf("%s: %v", out, err)
	}
}

func TestAudit_EndsWithTheChainsState(t *testing.T) {
	a := newArchive(t)
	for range 3 {
		a.record("pbx1", "Ping", time.Now(), `"phase":"outcome"`)
	}
	for _, args := range []string{"audit", "audit --from yesterday -o json", "audit --server pbx1 --from -7d"} {
		if _, problems := printed(t, 0, strings.Fields(args)...); problems != "3 records; chain: whole, 3 records\n" {
			t.Errorf("%s ends with %q", args, problems)
		}
	}
}

// The chain is not walked behind a list where that would last.
func TestAudit_DoesNotWalkALongChain(t *testing.T) {
	a := newArchive(t)
	for i := range maxChain + 1 {
		if _, err := a.js.PublishAsync("ami.audit.pbx1.Ping", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 || i == maxChain { // more would stall
			<-a.js.PublishAsyncComplete()
		}
	}
	_, problems := printed(t, 0, "audit", "--from", "now")
	if problems != "0 records; chain: not walked, it is long: audit --verify does\n" {
		t.Errorf("%s", problems)
	}
}

func TestAudit_RefusesWhatNoRecordCanMatch(t *testing.T) {
	newArchive(t)
	for args, want := range map[string]string{
		"--decision deny":                       "--decision: no decision is called deny: the nearest is ",
		"--decision Refused":                    "the nearest is refused",
		"--outcome time-out":                    "--outcome: no outcome is called time-out: the nearest is timeout",
		"--outcome success":                     "no outcome is called success: the nearest is ",
		"--outcome answered,denied":             "no outcome is called denied",
		"--decision refused --outcome answered": `no record has one of the decisions ["refused"] and one of the outcomes ["answered"]`,
		"--decision allowed --outcome forb*":    "no record has one of",
		"--from -1h --to -2h":                   "nothing is from ",
		"--from yesterday --to yesterday":       "nothing is from ",
		"--from 2999-01-01":                     "--from: 2999-01-01 00:00:00 is not yet",
		"--from lastweek":                       "--from: wants RFC 3339",
	} {
		if _, problems := printed(t, 2, append([]string{"audit"}, strings.Fields(args)...)...); !strings.Contains(problems, want) {
			t.Errorf("%s: %s", args, problems)
		}
	}
	printed(t, 0, "audit", "--decision", "allowed,refused", "--outcome", "forbidden,repeat")
	printed(t, 0, "audit", "--decision", "refused", "--outcome", "busy")
}

// Each kind of error that docs/actions.md has can be asked for.
func TestAudit_KnowsEachOutcome(t *testing.T) {
	page, err := os.ReadFile("../../docs/actions.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, row := range regexp.MustCompile("(?m)^\\| [45]\\d\\d \\| (`[^|]+) \\|").FindAllStringSubmatch(string(page), -1) {
		for _, kind := range regexp.MustCompile("[a-z_]+").FindAllString(row[1], -1) {
			if found++; !slices.Contains(replay.Ends(), kind) {
				t.Errorf("%s is none", kind)
			}
		}
	}
	if found < 12 {
		t.Errorf("%d kinds were found", found)
	}
}

func TestAudit_VerifyNamesTheBreak(t *testing.T) {
	a := newArchive(t)
	for range 2 {
		a.record("pbx1", "Ping", time.Now(), `"phase":"outcome"`)
	}
	out, problems := printed(t, 0, "audit", "--verify")
	if !strings.HasPrefix(out, "pbx1: 2 records in 1 runs of b1, whole\n  head "+a.prev["pbx1"]+" sequence 2, ") || problems != "" {
		t.Errorf("%s%s", out, problems)
	}
	if _, problems = printed(t, 0, "audit", "--verify", "--node", "b1"); !strings.Contains(problems, "it does not prove who made them") {
		t.Errorf("with --node it says %q", problems)
	}
	good := a.prev["pbx1"]
	a.prev["pbx1"] = strings.Repeat("0", 64)
	a.n["audit.pbx1"]++
	a.record("pbx1", "Ping", time.Now(), `"phase":"outcome"`)
	out, problems = printed(t, 1, "audit", "--verify", "--expect", good)
	for _, want := range []string{
		"pbx1: 3 records in 1 runs of b1, BROKEN in 1 places\n  MISSING at sequence 3, ami.audit.pbx1.Ping, ",
		", 1 records: numbers 3 to 3 of its run are not there\n    expected " + strings.Repeat("0", 64) + "\n    found    " + good + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if !strings.Contains(problems, "the chain does not hold in 1 places") {
		t.Errorf("said %s", problems)
	}
	out, _ = printed(t, 1, "audit", "--verify", "-o", "json", "--expect", strings.Repeat("a", 64))
	var stream, server struct {
		Server string
		Broken int
		Breaks []struct {
			Kind     string
			Sequence int
		}
	}
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&stream); err != nil || stream.Breaks[0].Kind != "absent" {
		t.Errorf("%s: %v", out, err)
	}
	if err := d.Decode(&server); err != nil || server.Server != "pbx1" || server.Breaks[0].Kind != "missing" || server.Breaks[0].Sequence != 3 {
		t.Errorf("%s: %v", out, err)
	}
}

// What the bridge had no room to record, and what a record has no room for, is told where the records are read.
func TestAudit_SaysWhatIsMissing(t *testing.T) {
	a := newArchive(t)
	envtest.Set(t, envtest.One("BRIDGE_NATS_URL="+a.url)...)
	a.record("pbx1", "Ping", time.Now(), `"phase":"outcome","outcome":"answered","decision":"allowed"`)
	a.record("pbx1", "Originate", time.Now(), `"phase":"outcome","outcome":"answered","decision":"allowed","fields":{"Channel":"PJSIP/1"},"fields_omitted":3,"lost":7`)
	out, problems := printed(t, 0, "audit")
	if !strings.Contains(squeeze(out), "Originate Channel=PJSIP/1 and 3 headers more → pbx1 answered; 7 records before it are lost") ||
		problems != "2 records; 7 more were lost, as the bridge says; chain: whole, 2 records, and 7 more that were lost\n" {
		t.Errorf("%s%s", out, problems)
	}
	if out, _ := printed(t, 0, "check", "--replay-audit", "7d"); !strings.Contains(out, "7 records were lost, as those behind them say") {
		t.Errorf("check says %s", out)
	}
}

package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFind_MatchesNumbersInEachFormAndChannels(t *testing.T) {
	for _, test := range []struct {
		what, header, value string
		want                bool
	}{
		{"+49301234567", "CallerIDNum", "+49301234567", true},
		{"+49301234567", "CallerIDNum", "0049301234567", true},
		{"+49301234567", "DestCallerIDNum", "0301234567", true},
		{"030 123-4567", "ConnectedLineNum", "+49301234567", true},
		{"+49301234567", "Exten", "49301234567", true},
		{"+49301234567", "DialString", "trunk/0301234567", true},
		{"+49301234567", "DialString", "+49301234567@trunk", true},
		{"100", "CallerIDNum", "100", true},
		{"100", "CallerIDNum", "49301234100", false}, // an extension is no end of a number
		{"100", "Uniqueid", "100", false},
		{"+49301234567", "CallerIDNum", "+49301234568", false},
		{"1234567", "CallerIDNum", "alice1234567", false},
		{"00", "CallerIDNum", "00", true},
		{"PJSIP/alice", "Channel", "PJSIP/alice-0000002a", true},
		{"pjsip/alice-0000002a", "DestChannel", "PJSIP/alice-0000002a", true},
		{"alice", "Channel", "PJSIP/alice-0000002a", true},
		{"PJSIP/alice", "Channel", "PJSIP/alice-smith-0000002a", false},
		{"PJSIP/ali", "Channel", "PJSIP/alice-0000002a", false},
		{"alice", "CallerIDNum", "alice", false},
	} {
		if got := wantedIn(test.what).in([]Field{{test.header, []string{test.value}}}); got != test.want {
			t.Errorf("%s in %s: %s is %v", test.what, test.header, test.value, got)
		}
	}
}

// A call is found by whom it dials as well as by who calls; its own data are those
// of its first channel. Only events that name somebody are read.
func TestFind_FindsCalls(t *testing.T) {
	b := newBench(t)
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	say := func(server string, after int, name, fields string) {
		b.n++
		b.event(server, name, fmt.Sprintf("s:%d", b.n), began.Add(time.Duration(after)*time.Second), "{"+fields+"}")
	}
	b.noise(began, time.Minute, 2, "pbx1") // Newexten and VarSet
	say("pbx1", 0, "Newchannel", `"Channel":"PJSIP/alice-1","CallerIDNum":"100","Exten":"0301234567","Uniqueid":"1.1","Linkedid":"1.1"`)
	say("pbx1", 1, "Newchannel", `"Channel":"PJSIP/trunk-2","CallerIDNum":"<unknown>","Exten":"s","Uniqueid":"1.2","Linkedid":"1.1"`)
	say("pbx1", 2, "DialBegin", `"Uniqueid":"1.1","Linkedid":"1.1","DestChannel":"PJSIP/trunk-2","DialString":"0301234567@trunk"`)
	say("pbx1", 3, "Newchannel", `"Channel":"PJSIP/x-3","CallerIDNum":"200","Exten":"201","Uniqueid":"1.3","Linkedid":"1.3"`)
	say("pbx1", 4, "Hangup", `"Channel":"PJSIP/x-3","CallerIDNum":"200","Uniqueid":"1.3","Linkedid":"1.3","Cause-txt":"Normal"`)
	say("pbx1", 60, "Hangup", `"Channel":"PJSIP/trunk-2","Uniqueid":"1.2","Linkedid":"1.1","Cause-txt":"Normal"`)
	say("pbx1", 61, "Hangup", `"Channel":"PJSIP/alice-1","Uniqueid":"1.1","Linkedid":"1.1","Cause-txt":"Normal Clearing"`)
	say("pbx2", 90, "Newchannel", `"Channel":"PJSIP/trunk-9","CallerIDNum":"+49301234567","Exten":"800","Uniqueid":"7.1","Linkedid":"7.1"`)
	say("pbx2", 91, "Hangup", `"Uniqueid":"7.1","Linkedid":"7.1","Cause-txt":"Normal"`)
	say("pbx2", 92, "Newchannel", `"Channel":"PJSIP/b-9","Uniqueid":"7.2","Linkedid":"7.1"`) // so it is up again
	for what, want := range map[string]string{
		"+49 30 1234567": "pbx1 1.1 100>0301234567 61 Normal Clearing 2; pbx2 7.1 +49301234567>800 0  2",
		"PJSIP/alice":    "pbx1 1.1 100>0301234567 61 Normal Clearing 2",
		"201":            "pbx1 1.3 200>201 1 Normal 1",
		"999":            "",
	} {
		read := 0
		found, _, err := b.source("AMI_EVENTS").Find(t.Context(), Selection{Prefix: "ami", Kind: "events", From: began}, what, func(Progress) { read++ })
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("%s %s %s>%s %v %s %d", f.Server, f.Linkedid, f.Caller, f.Called, f.Lasted, f.Cause, f.Channels))
		}
		if text := strings.Join(got, "; "); err != nil || text != want || read != 10 {
			t.Errorf("%s: %s, %v, want %s; %d read", what, text, err, want, read)
		}
	}
}

// Of calls that are over and do not match nothing is kept.
func TestFind_ForgetsWhatDoesNotMatch(t *testing.T) {
	f := finder{wanted: wantedIn("999"), calls: map[[2]string]*Found{}}
	for i := range 100 {
		id := fmt.Sprintf("1.%d", i)
		for _, name := range []string{"Newchannel", "Hangup"} {
			data := fmt.Sprintf(`{"CallerIDNum":"100","Uniqueid":%q,"Linkedid":%q}`, id, id)
			if err := f.see(&Event{Message: &Message{Data: []byte(data)}, Server: "pbx1", Name: name}); err != nil {
				t.Fatal(err)
			}
			if up := len(f.calls); name == "Newchannel" && up != 1 || name == "Hangup" && up != 0 {
				t.Fatalf("after %s of the %d. call %d are kept", name, i, up)
			}
		}
	}
}

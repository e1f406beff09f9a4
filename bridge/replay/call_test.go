package replay

import (
	"testing"
	"time"
)

// A call has what names one of its channels by its Uniqueid, and what names none
// by that but one of its bridges, or a channel while it is there; not what is of
// another call in the same bridge.
func TestCall_HasWhatNamesItsChannels(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	event := func(seconds int, data string) *Event {
		return &Event{Message: &Message{Data: []byte(data)}, Server: "pbx1", Read: at.Add(time.Duration(seconds) * time.Second)}
	}
	call := NewCall("100.1")
	for _, e := range []*Event{
		event(10, `{"Event":"Newchannel","Channel":"PJSIP/a-1","Uniqueid":"100.1","Linkedid":"100.1"}`),
		event(11, `{"Event":"DialBegin","Channel":"PJSIP/a-1","Uniqueid":"100.1","Linkedid":"100.1","DestChannel":"PJSIP/b-2","DestUniqueid":"100.2","DestLinkedid":"100.1"}`),
		event(12, `{"Event":"BridgeEnter","BridgeUniqueid":"br-1","Channel":"PJSIP/b-2","Uniqueid":"100.2","Linkedid":"100.1"}`),
		event(20, `{"Event":"Hangup","Channel":"PJSIP/b-2","Uniqueid":"100.2","Linkedid":"100.1"}`),
	} {
		call.Learn(e)
	}
	for name, test := range map[string]struct {
		seconds int
		data    string
		want    bool
	}{
		"its own":                         {10, `{"Uniqueid":"100.1","Linkedid":"100.1"}`, true},
		"a channel of its":                {30, `{"Uniqueid":"100.2"}`, true},
		"one that is called":              {10, `{"DestUniqueid":"100.2"}`, true},
		"its bridge":                      {30, `{"Event":"BridgeDestroy","BridgeUniqueid":"br-1"}`, true},
		"another in its bridge":           {13, `{"BridgeUniqueid":"br-1","Uniqueid":"100.9","Linkedid":"100.9"}`, false},
		"another bridge":                  {13, `{"BridgeUniqueid":"br-2"}`, false},
		"a channel by its name":           {15, `{"Channel":"PJSIP/b-2"}`, true},
		"that name just after":            {25, `{"Channel":"PJSIP/b-2"}`, true},
		"that name long after":            {26, `{"Channel":"PJSIP/b-2"}`, false},
		"that name before it was there":   {10, `{"Channel":"PJSIP/b-2"}`, false},
		"that name, with another's id":    {15, `{"Channel":"PJSIP/b-2","Uniqueid":"100.9"}`, false},
		"another call that names nothing": {15, `{"Channel":"PJSIP/z-9","Uniqueid":"100.9","Linkedid":"100.9"}`, false},
	} {
		if got := call.Has(event(test.seconds, test.data)); got != test.want {
			t.Errorf("%s, %s after %d s: %v", name, test.data, test.seconds, got)
		}
	}
	elsewhere := event(10, `{"Uniqueid":"100.1","Linkedid":"100.1"}`)
	if elsewhere.Server = "pbx2"; call.Has(elsewhere) {
		t.Error("another server's call of the same Linkedid is taken for it")
	}
	if channels, bridges := call.Size("pbx1"); channels != 2 || bridges != 1 {
		t.Errorf("it has %d channels and %d bridges", channels, bridges)
	}
}

// A Linkedid has the time at which the call began, behind the name of the system
// if Asterisk has one.
func TestCall_BeganAtItsLinkedid(t *testing.T) {
	for linkedid, want := range map[string]int64{
		"1763980000.42": 1763980000, "pbx-1-1763980000.42": 1763980000, "1763980000": 1763980000, "42.1": 0, "x": 0, "": 0, "99999999999999.1": 0,
	} {
		began, ok := NewCall(linkedid).Began()
		if ok != (want != 0) || ok && began.Unix() != want {
			t.Errorf("%q began at %v, %v", linkedid, began, ok)
		}
	}
}

package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func eventOf(subject, seq, payload string) Event {
	sel := Selection{Prefix: "ami", Kind: "events"}
	m := &Message{Subject: "ami.events." + subject, Sequence: 7, Header: nats.Header{"Ami-Seq": {seq}}, Data: []byte(payload)}
	return sel.EventOf(m)
}

// What Asterisk sent comes back as it was.
func TestEvent_AsAMI(t *testing.T) {
	for _, wire := range []string{
		"Event: Hangup\r\nPrivilege: call,all\r\nChannel: PJSIP/a-1\r\nCause-txt: \r\nName: \"Zoë\" \\ Ω\r\n\r\n",
		"Event: UserEvent\r\nA: 1\r\nA: 2\r\nChanVariable: X=1\r\nB: 3\r\n\r\n",
		"Event: Odd\r\na line without a name\r\nanother\r\nNote: two\nlines\r\nEvent: made up\r\n\r\n",
	} {
		frame, err := frames.NewReader(bytes.NewReader([]byte(wire)), 1<<16).Next()
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := frames.AppendJSON(nil, frame, frames.UTF8)
		e := eventOf("pbx1.X", "s:1", string(payload))
		got, err := e.AppendAMI([]byte("before|"), frames.UTF8)
		if want := "before|" + wire; wire[7] != 'O' && (err != nil || string(got) != want) {
			t.Errorf("%q, %v\nwant %q", got, err, want)
		}
		// Repeats stand together; read again, it is the same event.
		if frame, err = frames.NewReader(bytes.NewReader(got[len("before|"):]), 1<<16).Next(); err != nil {
			t.Fatal(err)
		}
		if again, _ := frames.AppendJSON(nil, frame, frames.UTF8); !bytes.Equal(again, payload) {
			t.Errorf("%s, want %s", again, payload)
		}
	}
	latin := eventOf("pbx1.X", "s:1", `{"Event":"X","Name":"René"}`)
	if got, err := latin.AppendAMI(nil, frames.Latin1); err != nil || string(got) != "Event: X\r\nName: Ren\xe9\r\n\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// What somebody else put into the stream cannot become another event.
func TestEvent_AsAMIRefusesAForgery(t *testing.T) {
	for _, payload := range []string{
		`{"Event":"X","A":"b\r\n\r\nEvent: Forged"}`, `{"A":"b"}`, `{"Event":"X","A: b":"c"}`, `17`, ``, `{"Event":"X","$raw":"A: b"}`,
	} {
		e := eventOf("pbx1.X", "s:1", payload)
		if got, err := e.AppendAMI([]byte("before"), frames.UTF8); !errors.Is(err, frames.ErrIllegalHeader) || string(got) != "before" {
			t.Errorf("%s: %q, %v", payload, got, err)
		}
	}
}

func TestEvent_AsJSON(t *testing.T) {
	e := eventOf("pbx1.Hangup", "s:42", `{"Event":"Hangup","B":"<1>","A":["2","3"]}`)
	e.Read = time.Date(2026, 11, 24, 10, 0, 0, 123456000, time.UTC)
	got := e.AppendJSON(nil)
	want := `{"subject":"ami.events.pbx1.Hangup","seq":7,"time":"2026-11-24T10:00:00.123456Z","stored":"0001-01-01T00:00:00Z",` +
		`"ami_seq":"s:42","event":{"Event":"Hangup","B":"<1>","A":["2","3"]}}` + "\n"
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for payload, want := range map[string]string{
		"{no JSON": `"raw":"{no JSON"}`, "{\n \"A\": [ ]}": `"event":{"A":[]}}`, "": `"stored":"0001-01-01T00:00:00Z"}`, "\xff\n": "\"raw\":\"\ufffd\\n\"}",
	} {
		e = eventOf("pbx1.Hangup", "", payload)
		if got := e.AppendJSON([]byte("before")); !bytes.HasPrefix(got, []byte(`before{"subject":`)) || !bytes.HasSuffix(got, []byte(","+want+"\n")) || !json.Valid(got[6:]) {
			t.Errorf("%q becomes %s, want %s at its end", payload, got, want)
		}
	}
}

func TestFields_KeepTheirOrder(t *testing.T) {
	got := Fields([]byte(`{"Z":"1","A":["2","3"],"N":4,"E":{}}`))
	want := []Field{{"Z", []string{"1"}}, {"A", []string{"2", "3"}}, {"N", []string{"4"}}, {"E", []string{"{}"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHoles_AreWhatNoGapExplains(t *testing.T) {
	for name, test := range map[string]struct {
		begun bool
		steps string // an event's session and number, G and what a Gap tells
		want  string
	}{
		"none":                       {true, "a:5 a:6 a:7", ""},
		"one":                        {true, "a:5 a:8", "2"},
		"explained":                  {true, "a:5 G2 a:8 a:9", ""},
		"in part":                    {true, "a:5 G2 a:9", "1"},
		"nobody knows":               {true, "a:5 Gunknown b:1 b:2", ""},
		"the start of a new session": {true, "a:5 b:3", "2"},
		"the start of the stream":    {false, "a:3", "2"},
		"shed before others":         {true, "a:1 G3 a:3 a:5 a:7 a:9", "1"},
		"two bridges":                {true, "a:5 b:1 a:6 b:2 b:3 a:7", ""},
		"again":                      {true, "a:5 a:6 a:5", "again"},
		"again at once":              {true, "a:5 a:5 a:6", "again"},
	} {
		h := GapFinder{Begun: test.begun}
		var got strings.Builder
		for step := range bytes.FieldsSeq([]byte(test.steps)) {
			e := eventOf("pbx1.Hangup", string(step), `{}`)
			if lost, ok := bytes.CutPrefix(step, []byte("G")); ok {
				e = eventOf("pbx1.Gap", "a:0", fmt.Sprintf(`{"Event":"Gap","Lost":%q}`, lost))
			}
			missing, again := h.See(&e)
			if missing > 0 {
				got.WriteString(fmt.Sprint(missing))
			}
			if again {
				got.WriteString("again")
			}
		}
		if got.String() != test.want {
			t.Errorf("%s: %q, want %q", name, got.String(), test.want)
		}
	}
}

func TestPace_KeepsTheTimeBetweenEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pace{Speed: 10}
		began, day := time.Now(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		wait := func(ctx context.Context, read, stored time.Duration) error {
			return p.Wait(ctx, &Event{Message: &Message{Stored: day.Add(stored)}, Read: day.Add(read)})
		}
		const far = 20 * 365 * 24 * time.Hour
		for _, step := range []struct{ read, stored, due time.Duration }{
			{-far, 0, 0}, // a clock that was wrong
			{0, 0, 0},
			{time.Minute, 2 * time.Minute, 6 * time.Second},
			{time.Second, 2 * time.Minute, 6 * time.Second},
			{2 * time.Minute, 2 * time.Minute, 12 * time.Second},
			{9 * time.Hour, 3 * time.Minute, 18 * time.Second}, // nothing is stored before it is read
			{4 * time.Minute, 4 * time.Minute, 24 * time.Second},
		} {
			if err := wait(t.Context(), step.read, step.stored); err != nil || time.Since(began) != step.due {
				t.Errorf("what was read at %v comes after %v, want %v (%v)", step.read, time.Since(began), step.due, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := wait(ctx, time.Hour, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.FixedZone("x", 3600))
	for text, want := range map[string]string{
		"2026-11-24T09:00:00Z": "2026-11-24T09:00:00Z", "2026-11-24 09:30": "2026-11-24T08:30:00Z",
		"2026-11-24T09:30:15": "2026-11-24T08:30:15Z", "2026-11-23": "2026-11-22T23:00:00Z",
		"-1h30m": "2026-11-24T07:30:00Z", "-2d": "2026-11-22T09:00:00Z", "1h": "", "--1h": "", "-1x": "", "tomorrow": "",
		"-1w": "2026-11-17T09:00:00Z", "-7d": "2026-11-17T09:00:00Z", "today": "2026-11-23T23:00:00Z", "yesterday": "2026-11-22T23:00:00Z",
		"yesterday 14:00": "2026-11-23T13:00:00Z", "today 09:30:15": "2026-11-24T08:30:15Z", "08:05": "2026-11-24T07:05:00Z", "now": "2026-11-24T09:00:00Z",
		"": "", "-d": "", "yesterday x": "", "25:00": "", "yesterday  14:00": "",
	} {
		got, err := ParseTime(text, now)
		if text := got.UTC().Format(time.RFC3339); want == "" && err == nil || want != "" && text != want {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
}

package ingest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// play is a server whose event sessions come, say something and go, at times of
// the test's own.
type play struct {
	t   *testing.T
	s   *Source
	now time.Time
	// clock is how far the server's is ahead.
	clock time.Duration
	born  time.Time
}

func newPlay(t *testing.T) *play {
	p := &play{t: t, s: testSource(t), now: time.Now()}
	p.s.outbox.SetLastBefore(time.Time{}) // there was no process before
	return p
}

// step is one of play's, in words: "2.5s" passes, "up", "lost", "pong",
// "clock -10s", or else the lines of an event.
func (p *play) step(step string) {
	p.t.Helper()
	if d, err := time.ParseDuration(step); err == nil {
		p.now = p.now.Add(d)
		return
	}
	word, rest, _ := strings.Cut(step, " ")
	switch word {
	case "clock":
		d, err := time.ParseDuration(rest)
		if err != nil {
			p.t.Fatal(err)
		}
		p.clock += d
	case "up":
		p.born = p.now
		p.s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s", At: p.now})
	case "lost":
		p.s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateWaiting, Session: "s", Reason: amiconn.ReasonClosed, At: p.now})
	case "pong":
		p.s.OnClock(amiconn.Clock{Born: p.born, Sent: p.now, Received: p.now, Server: p.now.Round(0).Add(p.clock)})
	default:
		text := "Event: " + strings.ReplaceAll(step, ";", "\r\n") + "\r\n\r\n"
		f, err := frames.NewReader(strings.NewReader(text), 1<<12).Next()
		if err != nil {
			p.t.Fatal(err)
		}
		p.s.OnEvent(amiconn.Event{Session: "s", Seq: 1, At: p.now, Frame: f})
	}
}

// told drains the outbox and returns what its last Gap says of a restart, empty
// without one.
func (p *play) told() (restarted string) {
	for {
		_, _, told, ok := p.s.outbox.Take(nil)
		if !ok {
			return restarted
		}
		if told != nil {
			restarted = told.Restarted
		}
		p.s.outbox.Ack()
	}
}

// Yes is said only of what nothing else explains.
func TestRestart_YesIsSaidOnlyWhenItIsSure(t *testing.T) {
	const (
		hangup   = "Hangup;Privilege: call,all"
		status   = "PeerStatus;Privilege: system,all"
		load     = "Load;Privilege: system,all;Module: app_dial.so"
		shutdown = "Shutdown;Privilege: system,all;Shutdown: Cleanly;Restart: True"
	)
	booted := func(uptime string) string { return "FullyBooted;Privilege: system,all;Uptime: " + uptime }
	stood := []string{"up", booted("1000"), "10ms", "pong", hangup, "100s", "lost"} // for 100 s
	for name, test := range map[string]struct {
		before, after []string
		want          string
	}{
		"a cut connection":                      {stood, []string{"1s", "up", booted("1101"), "10ms", "pong"}, "no"},
		"a restart":                             {stood, []string{"8s", "up", booted("3"), "10ms", "pong"}, "yes"},
		"cut right after its start":             {[]string{"up", booted("0"), "pong", "lost"}, []string{"50ms", "up", booted("0"), "pong"}, "no"},
		"a restart, and the clock set right":    {stood, []string{"8s", "clock 2s", "up", booted("5"), "10ms", "pong"}, "yes"},
		"a restart that boots":                  {stood, []string{"2s", "up", "SuccessfulAuth;Privilege: security,all", load}, "yes"},
		"a restart that has booted late":        {stood, []string{"2s", "up", "10ms", "pong", hangup, "700ms", booted("1")}, "yes"},
		"a restart that was announced":          {[]string{"up", hangup, shutdown, "lost"}, []string{"2s", "up", hangup}, "yes"},
		"announced, with an Uptime that lies":   {[]string{"up", booted("1000"), "pong", shutdown, "lost"}, []string{"2s", "up", booted("9000"), "pong"}, "yes"},
		"class system taken away":               {stood, []string{"8s", "up", hangup}, "unknown"},
		"class system taken away, and a peer":   {stood, []string{"8s", "up", status}, "unknown"},
		"FullyBooted 2.5 s late":                {stood, []string{"10ms", "up", "10ms", "pong", "2.5s", booted("1100")}, "no"},
		"FullyBooted late, behind an event":     {stood, []string{"10ms", "up", "10ms", "pong", hangup, "2.5s", booted("1102")}, "no"},
		"the clock set back by 10 s":            {stood, []string{"1s", "clock -10s", "up", booted("1091"), "10ms", "pong"}, "no"},
		"the clock set back by the uptime":      {stood, []string{"1s", "clock -1101s", "up", booted("0"), "10ms", "pong"}, "no"},
		"the same, and no Pong yet":             {stood, []string{"1s", "clock -1101s", "up", booted("0")}, "unknown"},
		"the clock set on by an hour":           {stood, []string{"1s", "clock 1h", "up", booted("4701"), "10ms", "pong"}, "no"},
		"a restart, and set on by a year":       {stood, []string{"8s", "clock 8760h", "up", booted("31536003"), "10ms", "pong"}, "unknown"},
		"a Pong without time":                   {[]string{"up", booted("1000"), "100s", hangup, "lost"}, []string{"8s", "up", booted("3"), "10ms", "pong"}, "unknown"},
		"without Uptime, before Asterisk 14":    {[]string{"up", "FullyBooted", "pong", "100s", "lost"}, []string{"8s", "up", "FullyBooted", "pong"}, "unknown"},
		"a user who never reads class system":   {[]string{"up", hangup, "pong", "100s", "lost"}, []string{"8s", "up", hangup, "pong"}, "unknown"},
		"a Load in a session of a proxy":        {[]string{"up", hangup, booted("3"), "pong", "100s", "lost"}, []string{"1s", "up", load}, "unknown"},
		"one lost while it boots, and the next": {append(stood, "2s", "up", load, "lost"), []string{"1s", "up", booted("3"), "pong"}, "no"},
		"one lost while it boots, which boots":  {append(stood, "2s", "up", load, "lost"), []string{"1s", "up", load}, "unknown"},
		"the second restart in a row, boots":    {append(stood, "2s", "up", load, booted("2"), "pong", "2s", "lost"), []string{"2s", "up", load}, "yes"},
		// The clock that the start was reckoned by was set between the Pong and FullyBooted.
		"cut, and set back while it booted": {[]string{"up", hangup, "pong", "3s", "clock -3s", booted("0"), "3s", hangup, "lost"}, []string{"1s", "up", booted("4"), "pong"}, "no"},
		"cut, and set on while it booted":   {[]string{"up", hangup, "pong", "3s", "clock 3s", booted("6"), "3s", hangup, "lost"}, []string{"1s", "up", booted("10"), "pong"}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			for _, step := range test.before {
				p.step(step)
			}
			p.told()
			for _, step := range test.after {
				p.step(step)
			}
			p.s.closeGap("") // what is held longest
			if got := p.told(); got != test.want {
				t.Errorf("restarted is %q, want %q", got, test.want)
			}
		})
	}
}

// What comes first in a new session and is no event stands behind the Gap of the
// time between, and does not make the restart sure or unsure.
func TestRestart_ACorruptFrameStandsBehindTheGap(t *testing.T) {
	p := newPlay(t)
	for _, step := range []string{"up", "FullyBooted;Privilege: system,all;Uptime: 1000", "pong", "lost", "1s"} {
		p.step(step)
	}
	p.told()
	p.step("up")
	f, err := frames.NewReader(strings.NewReader("stray: text\r\n\r\n"), 1<<12).Next()
	if err != nil {
		t.Fatal(err)
	}
	p.s.OnEvent(amiconn.Event{Session: "s", Seq: 1, At: p.now, Frame: f})
	p.step("FullyBooted;Privilege: system,all;Uptime: 1001")
	p.step("pong")
	var order []string
	for {
		_, _, told, ok := p.s.outbox.Take(nil)
		if !ok {
			break
		}
		if told != nil {
			order = append(order, told.Reason+" "+told.Restarted)
		}
		p.s.outbox.Ack()
	}
	if want := []string{"closed no", "corrupt "}; !slices.Equal(order, want) {
		t.Errorf("Gaps %q, want %q", order, want)
	}
}

// The events of a new session wait behind its Gap only while something may make
// its answer sure, and not for long.
func TestRestart_EventsWaitForTheAnswerAndNotForLong(t *testing.T) {
	const booted, hangup = "FullyBooted;Privilege: system,all;Uptime: 1000", "Hangup;Privilege: call,all"
	for name, test := range map[string]struct {
		steps []string
		waits bool
		ends  string
	}{
		"a Pong is to come":     {[]string{booted}, true, "pong"},
		"it may boot":           {[]string{"pong", hangup}, true, "FullyBooted;Privilege: system,all;Uptime: 0"},
		"nothing is to come":    {[]string{"pong", booted}, false, ""},
		"it is lost again":      {[]string{hangup}, true, "lost"},
		"and in any case later": {[]string{hangup}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			for _, step := range []string{"up", booted, "pong", "100s", "lost", "1s"} {
				p.step(step)
			}
			p.told()
			p.step("up")
			for _, step := range test.steps {
				p.step(step)
			}
			if got := p.told(); got == "" != test.waits {
				t.Fatalf("the Gap waits: %v", !test.waits)
			}
			if !test.waits {
				return
			}
			if p.s.outbox.Waiting() {
				t.Error("something behind the Gap is to be sent")
			}
			if test.ends != "" {
				p.step(test.ends)
				if p.told() == "" {
					t.Errorf("it waits beyond %q", test.ends)
				}
				return
			}
			for began := time.Now(); p.told() == ""; <-time.After(10 * time.Millisecond) {
				if time.Since(began) > time.Minute {
					t.Fatal("it waits for ever")
				}
			}
		})
	}
}

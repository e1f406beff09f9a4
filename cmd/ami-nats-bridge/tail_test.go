package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// channel is what an event has of its channel before anything of its own.
const channel = `"Channel":"PJSIP/a-1","ChannelState":"6","ChannelStateDesc":"Up","CallerIDNum":"100","CallerIDName":"A","ConnectedLineNum":"200","ConnectedLineName":"B","Language":"en","AccountCode":"","Context":"in","Exten":"800","Priority":"1","Uniqueid":"1.1","Linkedid":"1.1"`

func TestTail_ShowsWhatMatters(t *testing.T) {
	for name, test := range map[string]struct{ subject, data, want string }{
		"why it was not answered": {"ami.events.pbx1.DialEnd",
			`{"Event":"DialEnd",` + channel + `,"DestChannel":"PJSIP/b-2","DialStatus":"NOANSWER"}`,
			`pbx1  DialEnd            DialStatus=NOANSWER Channel=PJSIP/a-1 CallerIDNum=100 DestChannel=PJSIP/b-2`},
		"a variable's value": {"ami.events.pbx1.VarSet", `{"Event":"VarSet",` + channel + `,"Variable":"RESULT","Value":"a b"}`,
			`pbx1  VarSet             Variable=RESULT Value="a b" Channel=PJSIP/a-1`},
		"how long was talked": {"ami.events.pbx1.AgentComplete",
			`{"Event":"AgentComplete",` + channel + `,"Queue":"sales","Interface":"PJSIP/b","MemberName":"Bob","HoldTime":"4","TalkTime":"61","Reason":"caller"}`,
			`pbx1  AgentComplete      Queue=sales MemberName=Bob HoldTime=4 TalkTime=61 Reason=caller Channel=PJSIP/a-1`},
		"who is paused": {"ami.events.pbx1.QueueMemberStatus",
			`{"Event":"QueueMemberStatus","Queue":"sales","MemberName":"Bob","Interface":"PJSIP/b","Status":"6","Paused":"1","PausedReason":"lunch"}`,
			`pbx1  QueueMemberStatus  Queue=sales MemberName=Bob Status=6 Paused=1 PausedReason=lunch Interface=PJSIP/b`},
		"why a registration failed": {"ami.events.pbx1.Registry", `{"Event":"Registry","ChannelType":"PJSIP","Username":"u","Domain":"d","Status":"Rejected","Cause":"403"}`,
			`pbx1  Registry           ChannelType=PJSIP Domain=d Username=u Status=Rejected Cause=403`},
		"all of what is not known": {"ami.events.pbx1.UserEvent",
			`{"Event":"UserEvent","Privilege":"user,all",` + channel + `,"UserEvent":"Score","A":"1","B":"2","C":"3","D":"4","E":"5","F":"6","G":"7"}`,
			`pbx1  UserEvent          Channel=PJSIP/a-1 CallerIDNum=100 UserEvent=Score A=1 B=2 C=3 D=4 E=5 F=6 G=7`},
		"a gap": {"ami.events.pbx1.Gap", `{"Event":"Gap","From":"x","To":"y","Reason":"overflow","Lost":"912"}`,
			`pbx1  === GAP ===        overflow, 912 lost, from x to y`},
		"why a session is down": {"ami.status.pbx1.connection",
			`{"server":"pbx1","node":"b1","at":"2026-11-23T10:00:00Z","trigger":"change","since":"2026-11-23T09:00:00Z","role":"event","from":"connecting","to":"waiting","session":"","reason":"auth","error":"Login refused: Authentication failed","failures":3,"retry_in_ms":60000}`,
			`pbx1  connection         role=event from=connecting to=waiting reason=auth error="Login refused: Authentication failed" failures=3 retry_in_ms=60000 since=` + localTime("2026-11-23T09:00:00Z", time.Time{})},
		"what is being lost": {"ami.status.pbx1.buffers",
			`{"server":"pbx1","node":"b1","at":"2026-11-23T10:00:00Z","trigger":"full","received":9,"published":1,"filtered":0,"queued":7,"in_flight":1,"dropped":{"overflow":3,"total":0,"shed":2},"outbox":{"depth":8,"level":"full"},"write_buffer":{"depth":0,"level":"normal"},"pending_actions":{"depth":0,"level":"normal"}}`,
			`pbx1  buffers            trigger=full dropped=overflow:3,shed:2 queued=7 in_flight=1 outbox=full:8 write_buffer=normal:0 pending_actions=normal:0 received=9 published=1 filtered=0`},
		"what of a node is not well": {"ami.nodes.b1",
			`{"node":"b1","version":"1.2.3","at":"2026-11-23T10:00:00Z","uptime_s":5,"servers":["pbx1","pbx2"],"ready":["pbx1"],"nats":"CONNECTED","requests_dropped":0,"log_lines_lost":4,"streams":[{"name":"AMI_EVENTS","state":"full"},{"name":"AMI_AUDIT","state":"ok"}]}`,
			`b1    node               ready=pbx1 servers=pbx1,pbx2 nats=CONNECTED streams=AMI_EVENTS:full log_lines_lost=4 version=1.2.3 uptime_s=5`},
		"how an Action ended": {"ami.audit.pbx1.Originate",
			`{"at":"2026-11-23T10:00:00Z","node":"b1","server":"pbx1","action":"Originate","requester":"crm/7","phase":"outcome","decision":"allowed","outcome":"timeout","code":504,"sent":"unknown","error":"no response","fields":{"Channel":"PJSIP/1","Exten":"5"}}`,
			`pbx1  audit Originate    crm/7 → Originate Channel=PJSIP/1 Exten=5 → pbx1  timeout 504: no response (it may have been done)`},
		"no zeros and no unknowns": {"ami.status.pbx1.connection",
			`{"server":"pbx1","at":"2026-11-23T10:00:00Z","role":"event","from":"connecting","to":"up","failures":0,"session":"<unknown>"}`,
			`pbx1  connection         role=event from=connecting to=up`},
		"another's message": {"other.subject", `{"a":{"b":1,"c":[]},"d":null}`, `-     other.subject      a=b:1 d=null`},
		"no JSON":           {"ami.events.pbx1.X", "not\x1b", "pbx1  X                  not\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := newTailPrinter(stdio{out: &out}, "ami", false)
			if err := p.print(&replay.Message{Subject: test.subject, Data: []byte(test.data)}); err != nil {
				t.Fatal(err)
			}
			if _, got, _ := strings.Cut(out.String(), "  "); got != test.want+"\n" { // the time is local
				t.Errorf("%swant\n%s", got, test.want)
			}
		})
	}
}

// What is of another day says of which: what AMI_STATUS keeps of a bridge that is gone is old, and so is where a Gap begins
// that is from before a restart.
func TestTail_SaysOfWhichDay(t *testing.T) {
	old, now := time.Now().Add(-72*time.Hour), time.Now()
	stamp, shown := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }, old.Local().Format("2006-01-02 15:04:05.000")
	for subject, test := range map[string]struct{ at, data, want string }{
		"ami.status.pbx1.connection": {"", `{"node":"b1","at":"` + stamp(old) + `","role":"event","to":"up"}`, shown + "  pbx1"},
		"ami.nodes.b1":               {"", `{"node":"b1","at":"` + stamp(old) + `","nats":"CONNECTED"}`, shown + "  b1"},
		"ami.events.pbx1.Hangup":     {stamp(old), `{"Event":"Hangup"}`, shown + "  pbx1"},
		"ami.events.pbx1.Gap":        {stamp(now), `{"Event":"Gap","From":"` + stamp(old) + `","To":"` + stamp(now) + `","Reason":"restart","Lost":"unknown"}`, "from " + shown + " to " + now.Local().Format(tailTime)},
	} {
		var out bytes.Buffer
		m := &replay.Message{Subject: subject, Data: []byte(test.data), Header: nats.Header{}}
		if test.at != "" {
			m.Header.Set("Ami-Time", test.at)
		}
		if err := newTailPrinter(stdio{out: &out}, "ami", false).print(m); err != nil || !strings.Contains(out.String(), test.want) {
			t.Errorf("%s, %v, want %q", out.String(), err, test.want)
		}
	}
}

// Each event of the table is one of Asterisk's, or a list's item.
func TestTelling_NamesWhatThereIs(t *testing.T) {
	there := map[string]bool{"Gap": true}
	for _, e := range catalog.Events() {
		there[e.Name] = true
	}
	for item := range strings.FieldsSeq(`Agents ConfbridgeList ConfbridgeListRooms ContactList CoreShowChannel EndpointList PeerEntry QueueEntry QueueMember
		QueueParams QueueSummary Status .connection .breaker .buffers .gap .node`) {
		there[item] = true
	}
	for name, headers := range telling.Headers() {
		if !there[name] || len(headers) == 0 {
			t.Errorf("%s %q", name, headers)
		}
	}
}

func TestTail_TakesFiltersAsReplayDoes(t *testing.T) {
	for name, test := range map[string]struct {
		c             tailCmd
		subject       string
		shows, hides  string // subjects
		note, refused string
	}{
		"all":                 {tailCmd{}, "ami.events.*.*", "ami.events.pbx1.Hangup", "", "", ""},
		"an event":            {tailCmd{Subject: "Hangup"}, "ami.events.*.Hangup", "ami.events.pbx1.Hangup", "", "", ""},
		"a pattern":           {tailCmd{Subject: "Queue*"}, "ami.events.*.*", "ami.events.pbx1.QueueCallerJoin", "ami.events.pbx1.Hangup", "", ""},
		"several":             {tailCmd{Subject: "Queue*,Hangup"}, "ami.events.*.*", "ami.events.pbx1.Hangup", "ami.events.pbx1.Newchannel", "", ""},
		"of a server":         {tailCmd{Subject: "Queue*", Server: []string{"pbx1"}}, "ami.events.pbx1.*", "ami.events.pbx1.QueueCallerJoin", "ami.events.pbx1.Hangup", "", ""},
		"servers":             {tailCmd{Server: []string{"pbx?", "lab"}, Event: []string{"Hangup"}}, "ami.events.*.Hangup", "ami.events.lab.Hangup", "ami.events.x.Hangup", "", ""},
		"in a subject":        {tailCmd{Subject: "ami.events.pbx?.Queue*"}, "ami.events.*.*", "ami.events.pbx1.QueueCallerJoin", "ami.events.lab.QueueCallerJoin", "", ""},
		"a subject":           {tailCmd{Subject: "ami.status.>"}, "ami.status.>", "ami.status.pbx1.gap", "", "", ""},
		"wrong case":          {tailCmd{Subject: "hangup"}, "ami.events.*.hangup", "", "ami.events.pbx1.Hangup", "no event of Asterisk 1.8 to 23 is called hangup: the nearest is Hangup", ""},
		"mistyped":            {tailCmd{Event: []string{"Hangpu"}}, "ami.events.*.Hangpu", "", "", "the nearest is Hangup", ""},
		"pattern's case":      {tailCmd{Subject: "queuecaller*"}, "ami.events.*.*", "", "ami.events.pbx1.QueueCallerJoin", "the nearest is QueueCaller", ""},
		"its case in one":     {tailCmd{Subject: "ami.events.*.hangup"}, "ami.events.*.hangup", "", "", "the nearest is Hangup", ""},
		"no server":           {tailCmd{Subject: "ami.events.Hangup"}, "ami.events.Hangup", "", "", "the form is ami.events.<server>.<Event>", ""},
		"no such kind":        {tailCmd{Subject: "ami.event.>"}, "ami.event.>", "", "", "the nearest is ami.events", ""},
		"no such state":       {tailCmd{Subject: "ami.status.*.buffer"}, "ami.status.*.buffer", "", "", "no status is called buffer: the nearest is buffers", ""},
		"no such Action":      {tailCmd{Subject: "ami.audit.*.originate"}, "ami.audit.*.originate", "", "", "the nearest is Originate", ""},
		"another prefix":      {tailCmd{Subject: "pbx.events.>"}, "pbx.events.>", "", "", "begin with ami. (BRIDGE_SUBJECT_PREFIX), not with pbx.", ""},
		"NATS's own":          {tailCmd{Subject: "$SYS.>"}, "$SYS.>", "$SYS.x", "", "", ""},
		"everything":          {tailCmd{Subject: ">"}, ">", "a.b", "", "", ""},
		"no subject":          {tailCmd{Subject: "ami.>.x"}, "", "", "", "", "is not a subject"},
		"no pattern":          {tailCmd{Subject: "Queue["}, "", "", "", "", "is not a pattern"},
		"a subject's server":  {tailCmd{Subject: "ami.status.>", Server: []string{"pbx?"}}, "ami.status.>", "ami.status.pbx1.gap", "ami.status.lab.gap", "", ""},
		"no server's pattern": {tailCmd{Subject: "ami.status.>", Server: []string{"pbx["}}, "", "", "", "", "is not a pattern"},
		"subject and event":   {tailCmd{Subject: "ami.>", Event: []string{"Hangup"}}, "", "", "", "", "it goes with no subject"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := test.c.filter("ami")
			if (test.refused != "") != (err != nil) || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Fatalf("%v, want %q", err, test.refused)
			}
			if err != nil {
				return
			}
			notes := strings.Join(f.notes, "\n")
			if f.subject != test.subject || !strings.Contains(notes, test.note) || (notes == "") != (test.note == "") {
				t.Errorf("subscribes to %s, want %s; says %q, want %q", f.subject, test.subject, notes, test.note)
			}
			if test.shows != "" && !f.takes(&replay.Message{Subject: test.shows}) {
				t.Errorf("%s is not shown", test.shows)
			}
			if test.hides != "" && f.takes(&replay.Message{Subject: test.hides}) {
				t.Errorf("%s is shown", test.hides)
			}
		})
	}
}

// tailOf has these published once tail has subscribed to what, and returns its exit
// code.
func tailOf(t *testing.T, what string, messages []*nats.Msg, show stdio, args ...string) (code int) {
	t.Helper()
	s := natstest.Serve(t, nil)
	envtest.Set(t, "BRIDGE_NATS_URL="+s.ClientURL())
	nc := dialNATS(t, s.ClientURL())
	done := make(chan int, 1)
	go func() { done <- run(append([]string{"ami-nats-bridge", "tail"}, args...), show) }()
	for s.NumSubscriptions() == 0 || !subscribed(s, what) {
		select {
		case code := <-done:
			return code
		case <-t.Context().Done():
			t.Fatal("nobody subscribes")
		default:
			_ = nc.Flush() // a round trip
		}
	}
	for _, m := range messages {
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	return <-done
}

// Who may do nothing but subscribe sees what comes; who may not, hears so.
func TestTail_NeedsNoRightButToSubscribe(t *testing.T) {
	s := natstest.Serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "p"}, {Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{">"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"ami.events.>", "ami.status.>"}},
		}}}
	})
	admin := dialNATS(t, strings.Replace(s.ClientURL(), "://", "://admin:p@", 1))
	envtest.Set(t, "BRIDGE_NATS_URL="+s.ClientURL(), "BRIDGE_NATS_USER=u", "BRIDGE_NATS_PASSWORD=p")
	var group sync.WaitGroup // each waits for answers that it may not ask for
	for subject, message := range map[string]string{"ami.events.pbx1.*": "ami.events.pbx1.Hangup", "ami.status.pbx1.gap": "ami.status.pbx1.gap"} {
		show, problems := newScreen(), newScreen()
		group.Go(func() {
			code := run([]string{"x", "tail", subject, "--count", "1"}, stdio{"x", show, problems})
			if code != 0 || show.String() == "" || problems.String() != "" {
				t.Errorf("%s: exit code %d, %s%s", subject, code, show, problems)
			}
		})
		for !subscribed(s, subject) {
			_ = admin.Flush() // a round trip
		}
		if err := admin.Publish(message, []byte(`{"reason":"overflow"}`)); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if _, problems := printed(t, 1, "tail", "ami.audit.>"); !strings.Contains(problems, `Subscription to "ami.audit.>"`) {
		t.Errorf("%s", problems)
	}
}

func subscribed(s *server.Server, subject string) bool {
	z, err := s.Subsz(&server.SubszOptions{Subscriptions: true, Limit: 1000})
	if err != nil {
		return false
	}
	for _, sub := range z.Subs {
		if sub.Subject == subject {
			return true
		}
	}
	return false
}

func events(list ...string) (all []*nats.Msg) {
	for _, e := range list {
		name, data, _ := strings.Cut(e, " ")
		m := nats.NewMsg("ami.events.pbx1." + name)
		m.Header.Set("Ami-Time", "2026-11-23T10:00:00.123456Z")
		m.Header.Set("Ami-Seq", "s:1")
		m.Data = []byte(data)
		all = append(all, m)
	}
	return all
}

func TestTail_GrepsAndPrintsJSON(t *testing.T) {
	messages := events(`Hangup {"Event":"Hangup","CallerIDNum":"+4930","CallerIDName":"Zo\u00eb"}`, `Hangup {"Event":"Hangup","CallerIDNum":"100"}`, `Newchannel {"Event":"x"}`)
	var out, problems bytes.Buffer
	code := tailOf(t, "ami.events.*.*", messages, stdio{"x", &out, &problems}, "--grep", `CallerIDName=Zoë|Newch`, "-o", "json", "--count", "2")
	var lines []map[string]any
	for d := json.NewDecoder(&out); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if code != 0 || problems.Len() > 0 || len(lines) != 2 || lines[0]["subject"] != "ami.events.pbx1.Hangup" || lines[0]["time"] != "2026-11-23T10:00:00.123456Z" ||
		lines[0]["ami_seq"] != "s:1" || fmt.Sprint(lines[0]["event"]) != "map[CallerIDName:Zoë CallerIDNum:+4930 Event:Hangup]" || lines[0]["seq"] != nil {
		t.Errorf("exit code %d, %v, %s", code, lines, &problems)
	}
	if _, problems := printed(t, 2, "tail", "--grep", "("); !strings.Contains(problems, "--grep") {
		t.Errorf("a bad expression: %s", problems)
	}
}

// terminalOf is a pseudo-terminal of so many columns; shown returns what it showed
// once all that writes to it is done.
func terminalOf(t *testing.T, columns uint16) (file *os.File, shown func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminal here:", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	file, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err == nil {
		err = unix.IoctlSetWinsize(int(file.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() { // meanwhile: it holds a page only
		all, _ := io.ReadAll(master) // EIO: nobody has the other end any more
		read <- strings.ReplaceAll(string(all), "\r\n", "\n")
	}()
	return file, func() string { file.Close(); return <-read }
}

// A terminal gets colour and lines of its width, and no colour with NO_COLOR.
func TestTail_FitsTheTerminal(t *testing.T) {
	for _, noColour := range []string{"", "1"} {
		t.Setenv("NO_COLOR", noColour)
		t.Setenv("TERM", "xterm")
		file, shown := terminalOf(t, 60)
		code := tailOf(t, "ami.events.*.Hangup", events(`Hangup {"Event":"Hangup","Channel":"PJSIP/alice-00000001","CallerIDNum":"49301234567"}`),
			stdio{"x", file, file}, "Hangup", "--count", "1")
		out := shown()
		if code != 0 || strings.Contains(out, "\x1b[1mHangup") != (noColour == "") {
			t.Errorf("exit code %d with NO_COLOR=%s: %q", code, noColour, out)
		}
		if noColour == "" {
			continue
		}
		if _, line, _ := strings.Cut(out, "  "); strings.Contains(out, "\x1b") || line != "pbx1  Hangup             Channel=PJSIP/alic…\n" {
			t.Errorf("%q", out)
		}
	}
}

func TestLocalTime_HasTheDayOnlyIfItIsAnother(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]string{
		now.Add(-time.Hour).Format(time.RFC3339Nano): "11:00:00", now.AddDate(0, 0, -1).UTC().Format(time.RFC3339): "2026-11-23T12:00:00", "up": "up",
	} {
		if got := localTime(text, now); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// What is now is shown of every server, however many there are.
func TestTail_ShowsWhatIsNowOfAll(t *testing.T) {
	const servers = 1200
	url := natstest.Serve(t, nil).ClientURL()
	nc, js := natstest.Client(t, url)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AMI_STATUS", Subjects: []string{"ami.status.>"}, MaxMsgsPerSubject: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range servers {
		if err := nc.Publish(fmt.Sprintf("ami.status.pbx%d.breaker", i), []byte(`{"to":"closed"}`)); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Within(t, "all are stored", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == servers
	})
	envtest.Set(t, "BRIDGE_NATS_URL="+url)
	if out, _ := printed(t, 0, "tail", "ami.status.>", "--count", strconv.Itoa(servers)); strings.Count(out, "\n") != servers {
		t.Errorf("%d of %d", strings.Count(out, "\n"), servers)
	}
}

// Where what is now cannot be read, though NATS keeps it, tail and status say so and why: an account has no room for one
// consumer more.
func TestViews_SayThatWhatIsNowCannotBeRead(t *testing.T) {
	s := natstest.Serve(t, nil)
	nc, js := natstest.Client(t, s.ClientURL())
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AMI_STATUS", Subjects: []string{"ami.status.>", "ami.nodes.>"}, MaxConsumers: 1})
	if err == nil {
		_, err = stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "other"})
	}
	if err != nil {
		t.Fatal(err)
	}
	envtest.Set(t, "BRIDGE_NATS_URL="+s.ClientURL(), "BRIDGE_STATUS_INTERVAL=1s", "BRIDGE_HTTP_ADDR=")
	show, problems, over := newScreen(), newScreen(), make(chan int, 1)
	go func() { over <- run([]string{"x", "tail", "ami.status.>", "--count", "1"}, stdio{"x", show, problems}) }()
	problems.await(t, "ami-nats-bridge: this is not all that is now: AMI_STATUS: .*maximum consumers limit")
	say := func() {
		_ = nc.Publish("ami.status.pbx7.connection", fmt.Appendf(nil, `{"node":"b1","at":%q,"role":"event","to":"up","sessions":{"event":"up"}}`, time.Now().UTC().Format(time.RFC3339Nano)))
	}
	if say(); <-over != 0 {
		t.Errorf("%s%s", show, problems)
	}
	for _, format := range []string{"table", "json"} {
		var out, problems bytes.Buffer
		go func() { over <- run([]string{"x", "status", "-o", format}, stdio{"x", &out, &problems}) }()
		for code := -1; code < 0; {
			select {
			case code = <-over:
				if code != 2 || !strings.Contains(out.String(), "pbx7") || !strings.Contains(out.String()+problems.String(), "maximum consumers limit") {
					t.Errorf("%s: exit code %d, %s%s", format, code, &out, &problems)
				}
			default:
				say()
				_ = nc.Flush() // a round trip
			}
		}
	}
}

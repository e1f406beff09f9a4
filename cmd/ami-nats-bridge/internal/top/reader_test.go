package top

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// patience is for what happens at once on a machine that has time.
const patience = natstest.Patience

// within waits until holds, which it asks often.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-ticker.C
	}
}

// makeStatusStream makes AMI_STATUS as a bridge does.
func makeStatusStream(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AMI_STATUS", Subjects: []string{"ami.status.>", "ami.nodes.>"}, MaxMsgsPerSubject: 1})
	if err != nil {
		t.Fatal(err)
	}
}

// bridge says on NATS what a bridge with these servers says now, one of them down.
func bridge(t *testing.T, nc *nats.Conn, at time.Time, servers ...string) {
	t.Helper()
	say := func(subject string, msg fields) {
		if err := nc.Publish(subject, marshal(fields{"node": "b1", "at": text(at)}.with(msg))); err != nil {
			t.Error(err)
		}
	}
	say("ami.nodes.b1", fields{"servers": servers, "nats": "CONNECTED", "connections": fields{"events": "CONNECTED", "control": "CONNECTED"}})
	for i, name := range servers {
		state := "up"
		if i == len(servers)-1 {
			state = "waiting"
		}
		say("ami.status."+name+".connection", fields{"role": "event", "to": state, "since": text(at), "reason": "closed", "sessions": fields{"event": state}})
	}
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

// start runs a Reader until the test ends.
func start(t *testing.T, opts ReaderOptions) *Reader {
	t.Helper()
	r := NewReader(opts)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return r
}

func dialer(url string) func(...nats.Option) (*nats.Conn, error) {
	return func(opts ...nats.Option) (*nats.Conn, error) {
		return nats.Connect(url, append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0), nats.Timeout(patience)}, opts...)...)
	}
}

// The last values are read first, then what comes; and what AMI_STATE holds, with what
// ends in it.
func TestReader_NATS(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, js := natstest.Client(t, url)
	makeStatusStream(t, js)
	bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, value fields) {
		if _, err := bucket.Put(t.Context(), key, marshal(value)); err != nil {
			t.Fatal(err)
		}
	}
	put("pbx1.server", fields{"state": "live"})
	put("pbx1.channel.1", fields{"Linkedid": "1"})
	bridge(t, nc, time.Now(), "pbx1", "pbx2")
	r := start(t, ReaderOptions{Prefix: "ami", Interval: time.Hour, NATS: url, Connect: dialer(url)})
	picture := func() *view.Snapshot { snap, _ := r.Picture(time.Now()); return snap }
	within(t, "the last values and the state are there", func() bool {
		s := picture()
		return s.Headline.Text == "1 of 2 servers is ill" && s.Floor != nil && s.Floor.Calls == 1
	})
	bridge(t, nc, time.Now(), "pbx1", "pbx2", "pbx3")
	put("pbx1.channel.2", fields{"Linkedid": "2"})
	within(t, "what comes is there", func() bool { return len(picture().Servers) == 3 && picture().Floor.Calls == 2 })
	if calls, of := r.Calls("pbx1"); len(calls) != 2 || of != 2 {
		t.Errorf("%d calls of %d", len(calls), of)
	}
	if err := bucket.Purge(t.Context(), "pbx1.channel.1"); err != nil {
		t.Fatal(err)
	}
	within(t, "what ends is gone", func() bool { return picture().Floor.Calls == 1 })
	if snap, src, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: time.Hour, NATS: url, Connect: dialer(url)}); err != nil || src.ByHTTP || len(snap.Servers) != 3 || snap.Floor.Calls != 1 {
		t.Errorf("asked once it says %+v, %+v, %v", snap, src, err)
	}
}

// own is a bridge's HTTP server that answers with a snapshot of its own.
func own(t *testing.T, up *atomic.Bool) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" || !up.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		snap := natsDead()
		snap.At = view.Time{Time: time.Now()}
		_, _ = w.Write(marshal(snap))
	}))
	t.Cleanup(server.Close)
	return server
}

// NATS is killed: the bridge itself is asked. It is killed as well: the picture stays,
// and says since when. NATS is back, and so is the picture.
func TestReader_NATSIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), 0)
	url := server.ClientURL()
	nc, _ := natstest.Client(t, url)
	up := new(atomic.Bool)
	up.Store(true)
	r := start(t, ReaderOptions{Prefix: "ami", Interval: time.Hour, NATS: url, Connect: dialer(url), HTTP: own(t, up).URL})
	within(t, "it reads from NATS", func() bool {
		bridge(t, nc, time.Now(), "pbx1")
		snap, src := r.Picture(time.Now())
		return !src.ByHTTP && len(snap.Servers) == 1
	})
	nc.Close()
	server.Shutdown()
	server.WaitForShutdown()
	within(t, "it asks the bridge", func() bool {
		snap, src := r.Picture(time.Now())
		return src.ByHTTP && src.NATSErr != "" && snap.Headline.Text == "NATS is down, nothing is lost yet"
	})
	up.Store(false)
	within(t, "nothing answers", func() bool {
		snap, src := r.Picture(time.Now().Add(httpFresh)) // the last answer is old by then
		return !src.Silent.IsZero() && strings.Contains(src.HTTPErr, "503") && len(snap.Servers) == 12
	})
	var port int
	if _, err := fmt.Sscanf(url, "nats://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	again, _ := natstest.Client(t, natstest.Start(t, t.TempDir(), port).ClientURL())
	within(t, "it reads from NATS again", func() bool {
		bridge(t, again, time.Now(), "pbx1", "pbx2")
		snap, src := r.Picture(time.Now())
		return src.Silent.IsZero() && !src.ByHTTP && len(snap.Servers) == 2
	})
}

// A watch that is made anew is told nothing of what ended meanwhile.
func TestReader_StateThatEndedMeanwhile(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, js := natstest.Client(t, url)
	bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"})
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(ReaderOptions{Prefix: "ami", Interval: time.Hour})
	s := newStateWatch(js)
	watch := func() {
		s.start(t.Context(), time.Now())
		for s.begun = false; !s.begun; {
			r.takeState(s, <-s.updates())
		}
		s.stop()
	}
	calls := func() int { _, of := r.Calls("pbx1"); return of }
	for _, key := range []string{"pbx1.channel.1", "pbx1.channel.2"} {
		if _, err := bucket.Put(t.Context(), key, marshal(fields{"Linkedid": key})); err != nil {
			t.Fatal(err)
		}
	}
	watch()
	if calls() != 2 {
		t.Fatalf("%d calls", calls())
	}
	if err := js.DeleteKeyValue(t.Context(), "AMI_STATE"); err != nil { // a marker that has run out, for all keys
		t.Fatal(err)
	}
	if bucket, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"}); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), "pbx1.channel.2", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	watch()
	if calls() != 1 || nc.Status() != nats.CONNECTED {
		t.Errorf("%d calls", calls())
	}
}

// Where nothing answers the error says so, and of both. A busy machine may answer too late, which is an error
// as well, or knows nothing yet.
func TestAsk(t *testing.T) {
	t.Parallel()
	refused := func(...nats.Option) (*nats.Conn, error) {
		return nil, fmt.Errorf("connect to NATS: %w", nats.ErrNoServers)
	}
	up := new(atomic.Bool)
	server := own(t, up)
	asks := func(what string, opts ReaderOptions, wanted func(*view.Snapshot, Source, error) bool) {
		t.Helper()
		opts.Prefix, opts.Interval = "ami", time.Millisecond
		within(t, what, func() bool { return wanted(Ask(t.Context(), opts)) })
	}
	asks("neither answers", ReaderOptions{Connect: refused, HTTP: server.URL}, func(_ *view.Snapshot, _ Source, err error) bool {
		return err != nil && strings.Contains(err.Error(), "no servers available") && strings.Contains(err.Error(), "503")
	})
	up.Store(true)
	asks("the bridge itself", ReaderOptions{Connect: refused, HTTP: server.URL}, func(snap *view.Snapshot, src Source, err error) bool {
		return err == nil && src.ByHTTP && snap.ExitCode() == 1
	})
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	asks("a NATS without a bridge", ReaderOptions{Connect: dialer(url)}, func(snap *view.Snapshot, src Source, err error) bool {
		return err == nil && !src.ByHTTP && snap.ExitCode() == 2
	})
	asks("a NATS without a bridge that answers itself", ReaderOptions{Connect: dialer(url), HTTP: server.URL}, func(snap *view.Snapshot, src Source, err error) bool {
		return err == nil && src.ByHTTP && len(snap.Servers) == 12
	})
}

// Clocks that differ make last values look old: one interval is waited for.
func TestAsk_ClocksThatDiffer(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, js := natstest.Client(t, url)
	makeStatusStream(t, js)
	behind := func() time.Time { return time.Now().Add(-10 * time.Minute) }
	bridge(t, nc, behind(), "pbx1")
	snap := askedWhile(t, url, func() { bridge(t, nc, behind(), "pbx1") })
	if snap.ExitCode() != 1 || snap.Servers[0].State != view.StateDown {
		t.Errorf("%+v", snap.Servers)
	}
}

// How old the last word of a bridge is says nats-server's clock alone: be that of the bridge, or of who asks, an hour off,
// one that is gone is gone.
func TestAsk_ADeadBridgeWhoseClockIsAhead(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, js := natstest.Client(t, url)
	makeStatusStream(t, js)
	bridge(t, nc, time.Now().Add(time.Hour), "pbx1")
	const interval = 500 * time.Millisecond
	within(t, "it is known that it is gone", func() bool {
		snap, _, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: interval, Connect: dialer(url)})
		return err == nil && snap.ExitCode() == 2 && snap.Servers[0].State == view.StateUnknown && !snap.Bridges[0].Live
	})
}

// askedWhile is what Ask answers of the NATS at url while say is called again and again.
func askedWhile(t *testing.T, url string, say func()) *view.Snapshot {
	t.Helper()
	asked := make(chan *view.Snapshot, 1)
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group.Go(func() {
		snap, _, err := Ask(ctx, ReaderOptions{Prefix: "ami", Interval: patience, Connect: dialer(url)})
		if err != nil {
			t.Error(err)
		}
		asked <- snap
	})
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case snap := <-asked:
			return snap
		case <-ticker.C:
			say()
		}
	}
}

func TestBridgeURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:9108": "http://127.0.0.1:9108", ":9108": "http://127.0.0.1:9108", "0.0.0.0:9108": "http://127.0.0.1:9108", "[::]:9108": "http://[::1]:9108",
		"https://b1.example": "https://b1.example", "http://x:y@b1:9108/": "http://x:y@b1:9108", "http://b1:9108/bridge/status.json": "http://b1:9108/bridge",
		"b1.example:9108": "http://b1.example:9108", "": "", "ftp://b1": "", "http://": "", "http://b1?x=y": "", "http://b 1": "", "\x1b[2J": "",
	} {
		got, err := BridgeURL(addr)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v; want %q", addr, got, err, want)
		}
	}
}

// A password in the address is sent, and never shown.
func TestHTTPSource_Password(t *testing.T) {
	t.Parallel()
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		http.Error(w, "no", http.StatusTeapot)
	}))
	s := newHTTPSource(strings.Replace(server.URL, "http://", "http://me:s3cret@", 1))
	_, err := s.get(t.Context())
	server.Close()
	_, err2 := s.get(t.Context())
	if user != "me" || password != "s3cret" || err == nil || err2 == nil {
		t.Fatalf("%q, %q: %v, %v", user, password, err, err2)
	}
	if all := s.shown + err.Error() + err2.Error(); strings.Contains(all, "s3cret") {
		t.Errorf("the password is in %s", all)
	}
}

// An answer that is no status, or too long, or hostile, does no harm.
func TestHTTPSource_Hostile(t *testing.T) {
	t.Parallel()
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) }))
	defer server.Close()
	s := newHTTPSource(server.URL)
	for _, answer = range []string{"", "null", "{}", "[]", "<html>", `{"at":"x"}`} {
		if snap, err := s.get(t.Context()); err == nil {
			t.Errorf("%q is taken: %+v", answer, snap)
		}
	}
	const bad = `\u001b[2J\u001b]52;c;aGk=\u0007\u202e\n<script>`
	answer = `{"at":"2026-11-28T03:00:00Z","headline":{"state":"` + bad + `","text":"` + bad + `"},"servers":[{"name":"` + bad + `","state":"down","why":"` + bad +
		`","sessions":[{"role":"` + bad + `","state":"` + bad + `"}],"buffers":{"outbox":{"bytes":-5,"capacity":-1}},"gaps":[{"reason":"` + bad + `"}]}],"floor":{"queues":[{"name":"` + bad +
		`","waiting":-3}],"agents":[{"name":"` + bad + `","state":"` + bad + `"}]},"totals":{"servers":1,"ill":1,"waiting":-1,"calls":-1},"changes":[{"what":"` + bad + `"}],"bridges":[{"node":"` + bad + `"}]}`
	snap, err := s.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for page := range PageKeys + 1 {
		for _, p := range []Profile{colour, noColor, ascii} {
			ui := UI{Page: page, Selected: snap.Servers[0].Name, Callers: true}
			isScreen(t, Render(snap, ui, 120, 40, p), 120, 40, p)
			if once := Once(snap, Source{}, 120, noColor); strings.ContainsAny(once, "\x1b\u202e\x07") {
				t.Errorf("%q", once)
			}
		}
	}
	screen := NewScreen(&fed{snap: snap}, colour, time.Now, nil)
	if title := screen.View().WindowTitle; strings.ContainsAny(title, "\x1b\u202e\x07\n") {
		t.Errorf("the title is %q", title)
	}
}

// Who may not read is told so, and does not see an empty house.
func TestReader_MayNotRead(t *testing.T) {
	t.Parallel()
	server := natstest.Serve(t, func(o *natsserver.Options) {
		o.JetStream = false
		o.Users = []*natsserver.User{{
			Username: "u", Password: "p", Permissions: &natsserver.Permissions{Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX.>"}}},
		}}
	})
	dial := dialer(strings.Replace(server.ClientURL(), "nats://", "nats://u:p@", 1))
	if _, _, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: patience, Connect: dial}); err == nil || !strings.Contains(err.Error(), "ami.") {
		t.Errorf("asked once: %v", err)
	}
	r := start(t, ReaderOptions{Prefix: "ami", Interval: time.Hour, Connect: dial})
	within(t, "it says what it may not", func() bool {
		snap, src := r.Picture(time.Now())
		return strings.Contains(Text(snap, UI{Source: src}, 200, 24, noColor), "ermissions Violation for Subscription")
	})
}

// NATS answers, but no bridge says anything there: the bridge itself is asked.
func TestReader_SilentBridge(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, _ := natstest.Client(t, url)
	up := new(atomic.Bool)
	up.Store(true)
	r := start(t, ReaderOptions{Prefix: "ami", Interval: 50 * time.Millisecond, NATS: url, Connect: dialer(url), HTTP: own(t, up).URL})
	within(t, "it hears the bridge", func() bool {
		bridge(t, nc, time.Now(), "pbx1")
		snap, src := r.Picture(time.Now())
		return !src.ByHTTP && len(snap.Servers) == 1
	})
	within(t, "it asks the bridge", func() bool {
		snap, src := r.Picture(time.Now())
		return src.ByHTTP && src.NATSErr == "" && len(snap.Servers) == 12
	})
}

package state

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// aState is one without NATS, and stands is what its stream does.
func aState(stands *streams.State) (*State, *Server) {
	cfg := config.DefaultConfig()
	cfg.Node = "b1"
	s := New(Options{
		Config: &cfg, Conn: conntest.Bare(), Changed: func() {}, Log: zap.NewNop(),
		Stream: func() (streams.State, error) { return *stands, nil },
	})
	own := config.DefaultServerConfig()
	own.Name = "pbx1"
	one := s.Add(&own)
	s.Begin(one)
	return s, one
}

func frame(t *testing.T, text string) *frames.Frame {
	t.Helper()
	f, err := frames.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")+"\r\n\r\n"), 1<<20).Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const aChannel = "Channel: PJSIP/a\nChannelState: 6\nUniqueid: 1.1\nLinkedid: 1.1"

// An event that changes nothing costs the reader no memory.
func TestServer_AnEventThatChangesNothingAllocatesNothing(t *testing.T) {
	stands := streams.OK
	_, server := aState(&stands)
	server.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"})
	server.OnEvent(amiconn.Event{At: time.Now(), Frame: frame(t, "Event: Newchannel\n"+aChannel)})
	if n := server.Counts().Objects[present.Channel]; n != 1 {
		t.Fatalf("%d channels are up", n)
	}
	for _, text := range []string{
		"Event: Newstate\n" + aChannel, "Event: VarSet\n" + aChannel + "\nVariable: A\nValue: B", "Event: RTCPSent\n" + aChannel + "\nSSRC: 1",
		"Event: Hangup\nChannel: PJSIP/b\nChannelState: 6\nUniqueid: 9.9", "Event: PeerStatus\nPeer: SIP/x", "Event: ChallengeSent\nService: PJSIP",
	} {
		e := amiconn.Event{At: time.Now(), Frame: frame(t, text)}
		if n := testing.AllocsPerRun(200, func() { server.OnEvent(e) }); n != 0 {
			t.Errorf("%v allocations for %.20q", n, text)
		}
	}
}

// What was lost of an event is not taken for it.
func TestServer_TakesWholeEvents(t *testing.T) {
	stands := streams.OK
	_, server := aState(&stands)
	server.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"})
	cut := frame(t, "Event: Newchannel\n"+aChannel)
	cut.Truncated = true
	server.OnEvent(amiconn.Event{At: time.Now(), Frame: cut})
	server.OnEvent(amiconn.Event{At: time.Now(), Frame: frame(t, aChannel)})
	if n := server.Counts().Objects[present.Channel]; n != 0 {
		t.Errorf("%d channels are up", n)
	}
	var none *Server // of which nothing is kept
	none.OnEvent(amiconn.Event{})
	none.OnSession(amiconn.Change{})
	none.Acted("Reload")
	none.Ask(nil)
	if none.Counts().Leads {
		t.Error("nobody leads")
	}
}

// The words of the setting are the kinds, each in one of them.
func TestServer_WordsAreTheKinds(t *testing.T) {
	var words config.StateKinds
	if err := words.UnmarshalText([]byte(strings.Join(slices.Collect(maps.Keys(kindsOf)), ","))); err != nil || len(words) != len(kindsOf) {
		t.Errorf("%v, %v", words, err)
	}
	if err := new(config.StateKinds).UnmarshalText([]byte("nothing-of-it")); err == nil || strings.Count(err.Error(), ",") < len(kindsOf) {
		t.Errorf("%v", err)
	}
	var all present.Set
	for word, set := range kindsOf {
		if all&set != 0 {
			t.Errorf("%s is in another", word)
		}
		all |= set
	}
	if all != present.AllKinds {
		t.Errorf("%b of %b", all, present.AllKinds)
	}
}

// What mends by itself is waited for; what does not turns the state off, until somebody has
// mended it.
func TestState_IsOffUntilItIsMended(t *testing.T) {
	for stands, want := range map[streams.State]string{
		streams.OK: "on", streams.Differs: "on", streams.Full: "on",
		streams.Unavailable: "waiting", streams.NoJetStream: "waiting", streams.Missing: "waiting",
		streams.Off: "off", streams.NoPermission: "off", streams.ReadOnly: "off",
	} {
		s, _ := aState(&stands)
		s.Seen(stands)
		if r := s.Report(); r.State != want || (r.Reason == "") != (want == "on") {
			t.Errorf("%v: %+v, want %s", stands, r, want)
		}
		later := streams.OK
		s.o.Stream = func() (streams.State, error) { return later, nil }
		s.Seen(later)
		if got := s.Report().State; got != "on" {
			t.Errorf("%v, and then ok: %s", stands, got)
		}
		later = streams.NoJetStream // while its leader is chosen, say
		s.Seen(later)
		if got := s.Report().State; got != "on" {
			t.Errorf("%v, then ok, then none: %s", stands, got)
		}
	}
	stands := streams.Missing
	s, _ := aState(&stands)
	s.o.Config.Streams = config.StreamsVerify
	if s.Seen(stands); !s.is(off) {
		t.Error("nobody makes the bucket, and it is waited for")
	}
}

// A bucket that is there and takes nothing, for want of a right, turns the state off as well,
// though each look finds it; and is tried again after a while.
func TestState_IsOffWhileTheBucketTakesNothing(t *testing.T) {
	stands := streams.OK
	s, server := aState(&stands)
	s.Seen(streams.OK)
	stands = streams.NoPermission // as who publishes has reported
	s.onFailed(errors.New("no acknowledgement in time"))
	s.Seen(streams.OK)
	if r := s.Report(); r.State != "off" || !strings.Contains(r.Reason, "no_permission") {
		t.Errorf("denied, and looked at: %+v", r)
	}
	server.OnEvent(amiconn.Event{At: time.Now(), Frame: frame(t, "Event: Newchannel\n"+aChannel)})
	stands = streams.OK
	if s.seen(streams.OK, time.Now().Add(offFor)); s.Report().State != "on" {
		t.Errorf("a while later: %+v", s.Report())
	}
	if n := server.Counts().Objects[present.Channel]; n != 1 {
		t.Errorf("%d channels are up that began while it was off", n)
	}
}

// others is the Leader of a bridge that has only some servers.
type others map[string]bool

func (o others) Leads(server string) bool { return o[server] }

// Who is told that a server is another bridge's writes none of it, key or no key.
func TestServer_LeadsWhatItIsToldTo(t *testing.T) {
	stands := streams.OK
	s, server := aState(&stands)
	server.holder.until.Store(int64(time.Hour))
	if server.leads(time.Now()) {
		t.Error("it leads before there is a bucket")
	}
	s.Seen(stands)
	for leads, leader := range map[bool]Leader{true: others{"pbx1": true}, false: others{"pbx2": true}} {
		s.o.Leader = leader
		if server.leads(time.Now()) != leads {
			t.Errorf("told %v, it leads: %v", leader, !leads)
		}
	}
	if s.o.Leader = nil; !server.leads(time.Now()) {
		t.Error("with the key, and nobody to say otherwise, it does not lead")
	}
}

// Who shuts down has told that no session is up any more: the key, not only the objects.
func TestServer_IsDrainedOnceItsKeySaysStale(t *testing.T) {
	stands := streams.OK
	s, server := aState(&stands)
	s.Seen(stands)
	s.bucket = aBucket(t)
	session := amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"}
	server.OnSession(session)
	server.hold(t.Context())
	if !server.leads(time.Now()) || server.isDrained(time.Now()) {
		t.Fatal("a server whose session is up is drained, or has no key")
	}
	session.From, session.To = amiconn.StateUp, amiconn.StateStopped
	server.OnSession(session)
	if server.isDrained(time.Now()) {
		t.Error("drained, and the key says that it is syncing")
	}
	server.hold(t.Context())
	if last, err := s.bucket.last(t.Context(), "pbx1.server"); err != nil || !strings.Contains(string(last.value), `"state":"stale"`) {
		t.Errorf("the key says %s, %v", last.value, err)
	}
	if !server.isDrained(time.Now()) {
		t.Error("it says stale, and is not drained")
	}
}

// What is up can be seen without NATS, and not when nothing is kept.
func TestState_ObjectsAreThereWithoutNATS(t *testing.T) {
	stands := streams.Unavailable
	s, server := aState(&stands)
	s.Seen(stands)
	server.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"})
	server.OnEvent(amiconn.Event{At: time.Now(), Frame: frame(t, "Event: Newchannel\n"+aChannel)})
	all := map[string]string{}
	for key, value := range s.Objects() {
		all[key] = string(value)
	}
	if len(all) != 2 || !strings.Contains(all["pbx1.server"], `"state":"syncing"`) || !strings.Contains(all["pbx1.channel.1=2E1"], `"Channel":"PJSIP/a"`) {
		t.Errorf("%v", all)
	}
	for range s.Objects() {
		break
	}
	s.Seen(streams.Off)
	for key := range s.Objects() {
		t.Errorf("off, and %s is up", key)
	}
}

// Who only looks at how the state stands, as the page does, takes no change from who publishes it.
func TestState_ALookDoesNotCountAsPublished(t *testing.T) {
	stands := streams.Missing
	s, _ := aState(&stands)
	s.MarkPublished()
	stands = streams.NoPermission
	if s.Seen(stands); !s.HasChanged() {
		t.Fatal("it has changed, and nobody is told")
	}
	if s.Report(); !s.HasChanged() {
		t.Error("a look counts as published")
	}
	if s.MarkPublished(); s.HasChanged() {
		t.Error("it was published")
	}
}

// aLink keeps what is asked for.
type aLink struct{ asked []amiconn.Action }

func (l *aLink) Takes() bool { return true }
func (l *aLink) Do(a amiconn.Action) (string, error) {
	l.asked = append(l.asked, a)
	return "", nil
}

// A conference is asked for in the bytes that its Asterisk has its name in; one of which they are not
// known is not, and its kind is named.
func TestServer_AsksInItsCharset(t *testing.T) {
	stands := streams.OK
	_, server := aState(&stands)
	server.cfg.Charset = frames.Latin1
	link := new(aLink)
	server.Ask(link)
	server.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"})
	server.ask(present.Ask{List: present.Participants, Scope: "B\u00fcro"})
	if len(link.asked) != 1 || string(link.asked[0].Headers[0].Value) != "B\xfcro" {
		t.Errorf("asked for %+v", link.asked)
	}
	server.cfg.Charset = frames.UTF8
	server.ask(present.Ask{List: present.Participants, Scope: "B\ufffdro"})
	about := string(server.present.AppendServer(nil, "b1", true, time.Now()))
	if len(link.asked) != 1 || server.asked != nil || !strings.Contains(about, `"participant":"a name that is no text in the charset"`) {
		t.Errorf("asked for %+v; %s", link.asked, about)
	}
}

// A kind of whose events the login asks for none is brought right by lists alone, and is not called kept.
func TestServer_SaysWhichClassesItLacks(t *testing.T) {
	stands := streams.OK
	s, _ := aState(&stands)
	own := config.DefaultServerConfig()
	own.Name, own.Events, own.State = "pbx2", "agent,system", config.StateKinds{"queues", "channels", "contacts", "agents"}
	about := string(s.Add(&own).present.AppendServer(nil, "b1", true, time.Now()))
	for kind, why := range map[string]string{
		"channel": "no events of class call", "caller": "no events of class call", "agent": "no events of class call",
		"member": "not listed yet", "contact": "not listed yet", "bridge": "off",
	} {
		if !strings.Contains(about, `"`+kind+`":"`+why+`"`) {
			t.Errorf("of %s not %q: %s", kind, why, about)
		}
	}
}

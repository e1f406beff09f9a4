package top

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// shared has servers that two bridges divide: covered, not covered, led by nobody; and
// requests that were refused.
func shared() *view.Snapshot {
	f := newFleet()
	names := []string{"pbx1", "pbx2", "pbx3", "pbx4"}
	leaders := map[string]string{"pbx1": "bridge-ber-7d9f-1", "pbx2": "bridge-ber-7d9f-2", "pbx3": "bridge-ber-7d9f-1", "pbx4": ""}
	standbys := map[string][]fields{
		"pbx1": {{"node": "bridge-ber-7d9f-2", "state": "in_sync"}}, "pbx2": {{"node": "bridge-ber-7d9f-1", "state": "apart", "reason": "differs"}}, "pbx4": {{"node": "bridge-ber-7d9f-2", "state": "joining"}},
	}
	for i := range uint64(4) {
		f.node("bridge-ber-7d9f-1", names, fields{"refused": fields{"bad_request": 2}, "last_refused": nil, "audit_lost": 3, "unanswered": []string{"any"}})
		f.node("bridge-ber-7d9f-2", names, fields{"refused": fields{}, "last_refused": nil})
		for k, name := range names {
			from := fields{"node": leaders[name]}
			if leaders[name] == "" {
				from["node"] = "bridge-ber-7d9f-1"
			}
			f.tell(name, "ha", fields{"leader": leaders[name], "term": 3, "since": text(night.Add(-time.Minute)), "reason": "no_claim", "standbys": standbys[name]}.with(from))
			f.session(name, "action", "up", night.Add(-148*time.Hour), from)
			f.session(name, "event", "up", night.Add(-148*time.Hour), from)
			actions := fields{"answered": 15 * i, "failed": i, "p95_ms": 4.5, "refused": fields{}, "last_refused": nil}
			if k == 1 {
				actions["refused"], actions["last_refused"] = fields{"forbidden": 11, "busy": 1}, fields{"at": text(night.Add(-112 * time.Second)), "action": "Originate", "kind": "forbidden"}
			}
			f.buffers(name, 1000+uint64(k+1)*500*i, 10*i, 1000, from, fields{"actions": actions})
		}
		f.Tick(f.now)
		f.now = f.now.Add(5 * time.Second)
	}
	return f.Snapshot(night, view.NumbersLast4)
}

// alone is the same of one bridge that shares nothing, looked at for the first time.
func alone() *view.Snapshot {
	f := newFleet()
	f.now = night
	f.node("b1", []string{"pbx1"}, fields{"refused": fields{}, "last_refused": nil})
	f.session("pbx1", "event", "up", night.Add(-148*time.Hour))
	f.buffers("pbx1", 1000, 10, 1000, fields{
		"actions": fields{"answered": 15, "failed": 1, "p95_ms": 4.5, "refused": fields{}, "last_refused": nil}, "rates": fields{"received": 412.3, "published": 408, "actions": 3.2},
	})
	f.Tick(night)
	return f.Snapshot(night, view.NumbersLast4)
}

// Who leads each server, and whether a standby is in sync, is on a screen of any width; the
// words are those of package view, and so are those of what was refused and lost.
func TestRender_WhoLeadsAndWhatWasRefused(t *testing.T) {
	t.Parallel()
	for w, want := range map[int][]string{
		40: {"9f-1 ●", "9f-2 ▲", "nobody ▲"}, 80: {"LEADS", "9f-1 ●", "9f-2 ▲", "nobody ▲"},
		240: {"bridge-ber-7d9f-1 ●", "bridge-ber-7d9f-2 ▲", "bridge-ber-7d9f-1 apart: differs", "bridge-ber-7d9f-1: Audit records lost 3, Requests for any do not arrive", "refused 14"},
	} {
		screen := Text(shared(), UI{}, w, 24, Profile{UTF8: true, Colour: true})
		for _, text := range want {
			if !strings.Contains(screen, text) {
				t.Errorf("%d cells: it does not say %q:\n%s", w, text, screen)
			}
		}
	}
	snap := shared()
	for i := range snap.Servers {
		s := &snap.Servers[i]
		for page, want := range map[Page][]string{PageServer: {s.Refused.Text(night), s.HA.Text()}, PageServers: {s.HA.StandbysText()}} {
			if screen := Text(snap, UI{Page: page, Selected: s.Name}, 200, 40, noColor); !containsAll(screen, want) {
				t.Errorf("it does not say %q of %s:\n%s", want, s.Name, screen)
			}
		}
	}
	all := Visible(snap, &UI{Filter: "9f-2"})
	if len(all) != 1 || all[0].Name != "pbx2" {
		t.Errorf("a filter for who leads finds %d servers", len(all))
	}
}

// A bridge that stands by says of a server that another leads it, and nothing of what is stored.
func TestRender_LedElsewhere(t *testing.T) {
	t.Parallel()
	f := newFleet()
	for i := range uint64(4) {
		f.node("b1", []string{"pbx1"})
		f.tell("pbx1", "ha", fields{"leader": "b2", "term": 3, "since": text(night.Add(-time.Minute)), "standbys": []fields{{"node": "b1", "state": "in_sync"}}})
		f.session("pbx1", "event", "up", night.Add(-148*time.Hour))
		f.buffers("pbx1", 1000*i, 1000*i, 1000)
		f.now = f.now.Add(5 * time.Second)
	}
	screen := Text(f.Snapshot(night, view.NumbersLast4), UI{}, 120, 24, noColor)
	if !containsAll(screen, []string{"pbx1   led by b2", "b2 o     200      - "}) || strings.Contains(screen, "events 200") {
		t.Errorf("got:\n%s", screen)
	}
}

func containsAll(screen string, want []string) bool {
	for _, text := range want {
		if !strings.Contains(screen, text) {
			return false
		}
	}
	return true
}

// Who asks once has rates and what was refused, from the last words that NATS keeps.
func TestAsk_KnowsRatesAtTheFirstLook(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, js := natstest.Client(t, url)
	makeStatusStream(t, js)
	bridge(t, nc, time.Now(), "pbx1")
	if _, err := js.Publish(t.Context(), "ami.status.pbx1.buffers", marshal(fields{
		"node": "b1", "at": text(time.Now()), "received": 7, "published": 7, "rates": fields{"received": 412.3, "published": 408, "actions": 3.2},
		"actions": fields{"answered": 1, "failed": 0, "p95_ms": nil, "refused": fields{"forbidden": 2}, "last_refused": nil},
	})); err != nil { // once it is stored, so is what went before
		t.Fatal(err)
	}
	snap, src, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: patience, Connect: dialer(url)})
	if err != nil || snap.Servers[0].Rates == nil {
		t.Fatalf("%+v, %v", snap, err)
	}
	if screen := Once(snap, src, 400, noColor); !containsAll(screen, []string{"events 412/s", "stored 408/s", "actions 3.2/s", "refused 2"}) {
		t.Errorf("got:\n%s", screen)
	}
}

// Where there is room a column each says how many sessions are up, how the breaker is, how
// many Actions wait and how many events were dropped, in the words of package view. A
// small screen has them in the server's own view.
func TestRender_LinksOfEachServer(t *testing.T) {
	t.Parallel()
	for name, snap := range map[string]*view.Snapshot{"well": well(twelve), "ill": ill(), "NATS down": natsDead()} {
		rows := strings.Split(Text(snap, UI{}, 200, 60, noColor), "\n")
		for _, column := range []string{"SESSIONS", "BREAKER", "PENDING", "DROPPED"} {
			if !strings.Contains(strings.Join(rows, "\n"), " "+column+" ") {
				t.Errorf("%s: no column %s", name, column)
			}
		}
		for i := range snap.Servers {
			s := &snap.Servers[i]
			if !slices.ContainsFunc(rows, func(row string) bool {
				words := " " + strings.Join(strings.Fields(row), " ") + " "
				return strings.Contains(words, " "+s.Name+" ") && strings.Contains(words, " "+s.SessionsText()+" "+s.BreakerText()+" ") &&
					strings.Contains(words, " "+strings.Join(strings.Fields(s.DroppedText()), " ")+" ") && strings.Contains(words, " "+s.PendingText()+" ")
			}) {
				t.Errorf("%s: no row says of %s: %s, %s, %s, %s:\n%s", name, s.Name, s.SessionsText(), s.BreakerText(), s.PendingText(), s.DroppedText(), strings.Join(rows, "\n"))
			}
		}
	}
	if screen := Text(well(twelve), UI{}, 80, 24, noColor); strings.Contains(screen, "SESSIONS") || !strings.Contains(screen, "WAIT") {
		t.Errorf("80 cells:\n%s", screen)
	}
}

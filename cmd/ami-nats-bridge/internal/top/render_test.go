package top

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

var update = flag.Bool("update", false, "write the screens of testdata anew")

// night is when the pictures are of, in the zone of their clock.
var night = time.Date(2026, 11, 28, 3, 3, 14, 0, time.FixedZone("CET", 3600))

type fields map[string]any

func (f fields) with(others ...fields) fields {
	f = maps.Clone(f)
	for _, o := range others {
		maps.Copy(f, o)
	}
	return f
}

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

func text(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// fleet is a Model that is fed what bridges would say.
type fleet struct {
	*view.Model
	now time.Time
}

func newFleet() *fleet { return &fleet{view.New(view.Options{}), night.Add(-20 * time.Second)} }

func (f *fleet) tell(server, kind string, msg fields) {
	f.Status("ami.status."+server+"."+kind, marshal(fields{"node": "b1", "at": text(f.now)}.with(msg)), f.now)
}

func (f *fleet) node(name string, servers []string, more ...fields) {
	f.Status("ami.nodes."+name, marshal(fields{
		"node": name, "at": text(f.now), "version": "1.2.3", "uptime_s": 500000, "servers": servers, "ready": servers, "nats": "CONNECTED",
		"connections": fields{"events": "CONNECTED", "control": "CONNECTED"}, "delivery": "jetstream", "way": "fast_ingest",
		"streams": []fields{{"name": "AMI_EVENTS", "state": "ok"}, {"name": "AMI_STATUS", "state": "ok"}},
	}.with(more...)), f.now)
}

func (f *fleet) session(server, role, state string, since time.Time, more ...fields) {
	sessions := fields{"event": "up", "action": "up", role: state}
	f.tell(server, "connection", fields{"since": text(since), "role": role, "to": state, "version": "11.0.0", "sessions": sessions}.with(more...))
}

func (f *fleet) breaker(server, to string, since time.Time, more ...fields) {
	f.tell(server, "breaker", fields{"since": text(since), "to": to, "reason": "start", "retry_at": ""}.with(more...))
}

func (f *fleet) buffers(server string, received, lag uint64, outbox int64, more ...fields) {
	level := "normal"
	if outbox > 51<<20 {
		level = "high"
	}
	f.tell(server, "buffers", fields{
		"trigger": "interval", "received": received, "published": received - lag, "filtered": 0, "queued": lag, "in_flight": 0, "dropped": fields{"shed": 0},
		"outbox":          fields{"depth": lag, "bytes": outbox, "capacity": 64 << 20, "high_water": outbox + 1<<20, "level": level},
		"write_buffer":    fields{"depth": 1, "bytes": 400, "capacity": 65536, "high_water": 5900, "level": "normal"},
		"pending_actions": fields{"depth": 7, "capacity": 1024, "high_water": 61, "level": "normal"},
	}.with(more...))
}

func (f *fleet) state(key string, value fields) { f.State(key, marshal(value), f.now) }

// twelve are the servers of the pictures, with their events a second.
var twelve = map[string]uint64{
	"pbx-ber-01": 412, "pbx-ber-02": 388, "pbx-ber-03": 2140, "pbx-fra-01": 296, "pbx-fra-02": 304, "pbx-ham-01": 187, "pbx-ham-02": 201,
	"pbx-koe-01": 342, "pbx-lej-01": 96, "pbx-muc-01": 401, "pbx-muc-02": 377, "pbx-stg-01": 12,
}

// run has the servers be up and bring events for 15 s; each calls what it is told of a
// moment's server.
func (f *fleet) run(rates map[string]uint64, nodes fields, each func(name string, n uint64)) {
	names := slices.Sorted(maps.Keys(rates))
	for i := range uint64(4) {
		f.node("b1", names, nodes)
		f.node("b2", names, nodes)
		for _, name := range names {
			f.session(name, "action", "up", night.Add(-148*time.Hour))
			f.session(name, "event", "up", night.Add(-148*time.Hour))
			f.breaker(name, "closed", night.Add(-148*time.Hour))
			each(name, 1_000_000+rates[name]*5*i)
			f.tell(name, "ha", fields{"leader": "b1", "term": 1, "standbys": []fields{{"node": "b2", "state": "in_sync"}}})
			f.state(name+".server", fields{"state": "live"})
		}
		f.Tick(f.now)
		f.now = f.now.Add(5 * time.Second)
	}
	for i, name := range names {
		for c := range i + 3 {
			f.state(fmt.Sprintf("%s.channel.%d", name, c), fields{"Linkedid": fmt.Sprint(c)})
		}
	}
}

// well is a fleet that has nothing.
func well(rates map[string]uint64) *view.Snapshot {
	f := newFleet()
	f.run(rates, nil, func(name string, n uint64) { f.buffers(name, n, 0, int64(rates[name])*1800) })
	return f.Snapshot(night, view.NumbersLast4)
}

// ill has three of twelve ill: one drops, one is down, the login of one is refused.
func ill() *view.Snapshot {
	f := newFleet()
	round := uint64(0)
	f.run(twelve, nil, func(name string, n uint64) {
		if name != "pbx-ber-03" {
			f.buffers(name, n, 0, int64(twelve[name])*1800)
			return
		}
		round++
		f.buffers(name, n, 60_000+525*round, 55_500_000+100_000*int64(round), fields{"dropped": fields{"shed": 18_204 - 410*(4-round)}})
	})
	f.now = night
	f.session("pbx-ber-03", "action2", "waiting", night.Add(-9*time.Second), fields{"reason": "closed", "error": "EOF", "failures": 1, "retry_in_ms": 9000})
	down := night.Add(-961 * time.Second)
	f.session("pbx-muc-02", "event", "waiting", down, fields{"reason": "dial", "error": "dial tcp 10.20.4.12:5038: connect: connection refused", "failures": 5, "retry_in_ms": 21000})
	f.breaker("pbx-muc-02", "open", night.Add(-21*time.Second), fields{"reason": "dial", "error": "x", "failures": 5, "retry_at": text(night.Add(21 * time.Second))})
	f.state("pbx-muc-02.server", fields{"state": "stale", "since": text(down)})
	refused := night.Add(-1929 * time.Second)
	f.session("pbx-ham-01", "event", "waiting", refused, fields{"reason": "auth", "error": `Login refused: "Authentication failed"`, "failures": 1, "retry_in_ms": 115000})
	f.tell("pbx-stg-01", "gap", fields{"from": text(night.Add(-6 * time.Hour)), "to": text(night.Add(-6*time.Hour + 33*time.Second)), "reason": "closed", "lost": nil, "restarted": true})
	f.Tick(night)
	return f.Snapshot(night, view.NumbersLast4)
}

// natsDead has no NATS: outboxes fill.
func natsDead() *view.Snapshot {
	f := newFleet()
	f.node("b1", []string{"pbx-ber-03"})
	f.now = f.now.Add(time.Second)
	base := map[string]uint64{}
	f.run(twelve, fields{"nats": "RECONNECTING", "connections": fields{"events": "RECONNECTING", "control": "RECONNECTING"}}, func(name string, n uint64) {
		if base[name] == 0 {
			base[name] = n - 40*twelve[name]
		}
		f.buffers(name, n, n-base[name], int64(n-base[name])*200)
	})
	return f.Snapshot(night, view.NumbersLast4)
}

// floor has queues, callers and agents, and one server that is stale.
func floor() *view.Snapshot {
	f := newFleet()
	f.run(map[string]uint64{"pbx-ber-01": 412, "pbx-muc-02": 377}, nil, func(name string, n uint64) { f.buffers(name, n, 0, 1000) })
	f.now = night
	waiting := map[string][]int{"support-de": {252, 132, 71, 60, 30}, "support-en": {96, 44, 12}, "orders": {38, 9}, "billing": {14}, "returns": nil, "vip": nil, "night-line": nil}
	for queue, waits := range waiting {
		f.state("pbx-ber-01.queue."+queue, fields{"Queue": queue})
		for i, s := range waits {
			f.state(fmt.Sprintf("pbx-ber-01.caller.%s.%d", queue, i), fields{"Queue": queue, "CallerIDNum": "+491515550871", "Position": fmt.Sprint(i + 1), "Since": text(night.Add(-time.Duration(s) * time.Second))})
		}
	}
	for i, a := range []struct{ name, queue, status, paused string }{
		{"Ines Faber", "support-de", "6", ""}, {"Jule Behr", "orders", "1", ""}, {"Sam Okafor", "returns", "1", ""}, {"Can Yilmaz", "vip", "2", ""},
		{"Lea Brandt", "orders", "2", ""}, {"Uwe Stahl", "support-de", "1", "training"}, {"Kim Berger", "support-de", "1", "lunch"}, {"Finn Adler", "billing", "5", ""},
	} {
		more := fields{}
		if a.paused != "" {
			more = fields{"Paused": "1", "PausedReason": a.paused}
		}
		f.state(fmt.Sprintf("pbx-ber-01.member.%s.%d", a.queue, i), fields{"Queue": a.queue, "Interface": fmt.Sprint("PJSIP/", i), "MemberName": a.name, "Status": a.status, "InCall": "1",
			"At": text(night.Add(-time.Duration(100+i*61) * time.Second))}.with(more))
	}
	f.state("pbx-muc-02.queue.service-muc", fields{"Queue": "service-muc"})
	f.state("pbx-muc-02.caller.service-muc.1", fields{"Queue": "service-muc", "Since": text(night.Add(-52*time.Second - 12*time.Minute))})
	f.state("pbx-muc-02.server", fields{"state": "stale", "since": text(night.Add(-12 * time.Minute))})
	f.Tick(night)
	return f.Snapshot(night, view.NumbersLast4)
}

// odd has names that are long and wide, and hostile texts.
func odd() *view.Snapshot {
	f := newFleet()
	rates := map[string]uint64{strings.Repeat("n", 32): 1, "a": 2, "pbx-0123456789-0123456789-012345": 3_000_000}
	f.run(rates, nil, func(name string, n uint64) { f.buffers(name, n, 0, 1000) })
	f.now = night
	f.session("a", "event", "waiting", night, fields{"reason": "read", "error": "\x1b[2J\x1b]52;c;aGk=\x07<script>\u202e東京の電話が切れました、理由は不明です", "failures": 1})
	f.state("a.queue.x", fields{"Queue": "サポート窓口・東京本社・夜間受付"})
	f.state("a.member.x.1", fields{"Queue": "サポート窓口・東京本社・夜間受付", "Interface": "x", "MemberName": "山田 太郎 👩‍👩‍👧‍👦 \x1b[31mred", "Status": "2", "InCall": "1"})
	f.Tick(night)
	return f.Snapshot(night, view.NumbersLast4)
}

func thirty() *view.Snapshot {
	rates := map[string]uint64{}
	for i := range uint64(30) {
		rates[fmt.Sprintf("pbx-%02d", i)] = i * 10
	}
	return well(rates)
}

var (
	colour  = Profile{Colour: true, UTF8: true}
	noColor = Profile{UTF8: true}
	ascii   = Profile{}
)

// screens are the golden screens: what they are of, and how big.
var screens = map[string]struct {
	snap    func() *view.Snapshot
	ui      UI
	profile Profile
}{
	"ill":         {ill, UI{Selected: "pbx-ber-03"}, colour},
	"ill-nocolor": {ill, UI{Selected: "pbx-ber-03"}, noColor},
	"ill-ascii":   {ill, UI{Selected: "pbx-muc-02"}, ascii},
	"well":        {func() *view.Snapshot { return well(twelve) }, UI{}, noColor},
	"one":         {func() *view.Snapshot { return well(map[string]uint64{"pbx1": 7}) }, UI{}, noColor},
	"none":        {func() *view.Snapshot { return view.New(view.Options{}).Snapshot(night, view.NumbersNone) }, UI{}, noColor},
	"asking":      {func() *view.Snapshot { return view.New(view.Options{}).Snapshot(night, view.NumbersNone) }, UI{Source: Source{Asking: true, NATS: "nats://10.20.0.5:4222", HTTP: "http://127.0.0.1:9108"}}, noColor},
	"thirty":      {thirty, UI{Selected: "pbx-25", Sort: SortEvents}, noColor},
	"nats-dead":   {natsDead, UI{Source: Source{ByHTTP: true, NATS: "nats://10.20.0.5:4222", NATSErr: "connection refused", HTTP: "http://127.0.0.1:9108"}}, colour},
	"silent": {ill, UI{Source: Source{Silent: night.Add(-34 * time.Second), NATS: "nats://10.20.0.5:4222", HTTP: "http://127.0.0.1:9108",
		NATSErr: "connection refused", HTTPErr: "connection refused"}}, colour},
	"server":       {ill, UI{Page: PageServer, Selected: "pbx-ber-03"}, colour},
	"server-ascii": {ill, UI{Page: PageServer, Selected: "pbx-muc-02", Times: TimesUTC}, ascii},
	"gaps":         {ill, UI{Page: PageGaps, Selected: "pbx-stg-01", Times: TimesAge}, noColor},
	"calls": {ill, UI{Page: PageCalls, Selected: "pbx-ber-01", CallsOf: 31, Calls: []view.Call{
		{Since: view.Time{Time: night.Add(-132 * time.Second)}, Caller: "…0144", State: "Up", Queue: "support-de"},
		{Since: view.Time{Time: night.Add(-273 * time.Second)}, Caller: "…0871", With: "2014", State: "Up", Channel: "PJSIP/2014-0000a1"}}}, noColor},
	"server-queues": {floor, UI{Page: PageServer, Selected: "pbx-ber-01"}, noColor},
	"floor":         {floor, UI{Page: PageFloor}, colour},
	"callers":       {floor, UI{Page: PageFloor, Queue: 5, Callers: true}, colour},
	"filter":        {ill, UI{Filter: "ber", Typing: true}, noColor},
	"keys":          {ill, UI{Page: PageKeys}, noColor},
	"shared":        {shared, UI{Selected: "pbx2"}, colour},
	"shared-server": {shared, UI{Page: PageServer, Selected: "pbx2"}, colour},
	"alone":         {alone, UI{}, colour},
	"odd":           {odd, UI{}, noColor},
	"odd-floor":     {odd, UI{Page: PageFloor}, noColor},
}

var sizes = [][2]int{{40, 20}, {80, 24}, {120, 40}, {200, 60}}

// Each screen is as testdata has it, and of exactly its size.
func TestRender_Golden(t *testing.T) {
	t.Parallel()
	for name, s := range screens {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				got := Render(s.snap(), s.ui, size[0], size[1], s.profile) + "\n"
				isScreen(t, got, size[0], size[1], s.profile)
				file := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d.txt", name, size[0], size[1]))
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("write it anew with -update if it is right:\n%s", diff)
				}
			})
		}
	}
}

// isScreen checks that got is h lines of w cells, without a byte that could drive a
// terminal but colours, and without those if there are none.
func isScreen(t *testing.T, got string, w, h int, p Profile) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != h {
		t.Errorf("%d lines, want %d", len(lines), h)
	}
	for i, l := range lines {
		if n := lipgloss.Width(l); n != w {
			t.Errorf("line %d has %d cells, want %d: %q", i, n, w, l)
		}
		bare := l
		if p.Colour {
			bare = sgr.ReplaceAllString(l, "")
		}
		for _, r := range bare {
			if unicode.IsControl(r) || !p.UTF8 && r > '~' || r == '\u202e' {
				t.Errorf("line %d has %U: %q", i, r, l)
			}
		}
	}
}

// Any size has a screen, and the words of package view are in it.
func TestRender_AnySize(t *testing.T) {
	t.Parallel()
	for name, s := range screens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			snap := s.snap()
			for _, w := range []int{1, 5, 39, 59, 60, 79, 110, 300} {
				for _, h := range []int{1, 2, 6, 23, 36, 70} {
					isScreen(t, Render(snap, s.ui, w, h, s.profile), w, h, s.profile)
				}
			}
		})
	}
}

// The screen says the words of package view: the headline, each ill server's state, why
// and what to do, and who leads.
func TestRender_SaysTheSameWords(t *testing.T) {
	t.Parallel()
	for _, snap := range []*view.Snapshot{ill(), natsDead()} {
		screen := strings.Join(strings.Fields(strings.ReplaceAll(Text(snap, UI{}, 400, 60, noColor), "\u202f", " ")), " ")
		for _, want := range []string{snap.Headline.Text, snap.Headline.More, "b1 leader, b2 in sync"} {
			if !strings.Contains(screen, strings.ReplaceAll(want, "\u202f", " ")) {
				t.Errorf("the screen does not say %q:\n%s", want, screen)
			}
		}
		for _, s := range snap.Servers {
			for _, want := range []string{s.Name, s.Why, s.Do} {
				if want == s.Why && !snap.NATS.Up || want == s.Do && !snap.NATS.Up {
					continue // the headline says it for all
				}
				if s.State.Ill() && !strings.Contains(screen, strings.ReplaceAll(want, "\u202f", " ")) {
					t.Errorf("the screen does not say %q of %s", want, s.Name)
				}
			}
			if s.State.Ill() && !strings.Contains(screen, strings.ToUpper(s.State.Word())) {
				t.Errorf("the screen does not say that %s is %s", s.Name, s.State.Word())
			}
		}
	}
}

// sgr are the escapes of colours: bold, faint, reverse and the 16 colours.
var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestUntil(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]string{
		-time.Second: "try now", 0: "try now", 9 * time.Second: "try 0:09", 592 * time.Second: "try 9:52", time.Hour: "try 1h", 30 * time.Hour: "try 1d6h",
	} {
		if got := until(&view.Verdict{Until: view.Time{Time: night.Add(left)}, UntilKind: view.UntilTry}, night); got != want {
			t.Errorf("in %v: %q, want %q", left, got, want)
		}
	}
	if got := until(&view.Verdict{}, night); got != "" {
		t.Errorf("without until: %q", got)
	}
}

// Of queues that have one name it is said whose each is.
func TestFloor_QueuesOfOneName(t *testing.T) {
	t.Parallel()
	snap := floor()
	snap.Floor.Queues = append(snap.Floor.Queues, view.Queue{Name: "vip", Server: "pbx-muc-02"})
	for _, w := range []int{80, 120} {
		screen := Text(snap, UI{Page: PageFloor}, w, 40, noColor)
		if !containsAll(screen, []string{" vip pbx-ber-01 ", " vip pbx-muc-02 ", " billing  "}) {
			t.Errorf("got:\n%s", screen)
		}
	}
}

// The waits of a stale queue are as they were then.
func TestFloor_CallersOfAStaleQueue(t *testing.T) {
	t.Parallel()
	screen := Text(floor(), UI{Page: PageFloor, Queue: 4, Callers: true}, 80, 24, noColor)
	_, callers, found := strings.Cut(screen, "service-muc of pbx-muc-02")
	if !found || !strings.Contains(callers, "0:52") {
		t.Errorf("got:\n%s", screen)
	}
}

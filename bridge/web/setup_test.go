package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// world is what the pages of the tests are of. Its clock stands still unless pass moves it, or goesOn is set.
type world struct {
	mu     sync.Mutex
	model  *view.Model
	now    time.Time
	asked  atomic.Int64    // for a snapshot
	away   map[string]bool // servers whose sessions are not up
	kept   fields          // whether the state is
	taps   map[string]*tap.Tap
	flows  map[string]fields // what was told last of each server's buffers
	goesOn time.Time         // since when the clock goes on by itself, where it does
}

type fields map[string]any

// start is when the pictures are of: three at night in winter, one hour east of Greenwich.
var start = time.Date(2026, 11, 28, 3, 3, 14, 0, time.FixedZone("CET", 3600))

func newWorld() *world {
	return &world{model: view.New(view.Options{}), now: start, away: make(map[string]bool), kept: fields{"state": "on"}, taps: make(map[string]*tap.Tap), flows: make(map[string]fields)}
}

func (w *world) snapshot(numbers view.Numbers) *view.Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked.Add(1)
	return w.model.Snapshot(w.now, numbers)
}

func (w *world) calls(server string, numbers view.Numbers) ([]view.Call, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.model.Calls(server, numbers)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.goesOn.IsZero() {
		return w.now.Add(time.Since(w.goesOn))
	}
	return w.now
}

// tap is the events of one of the twelve.
func (w *world) tap(server string) *tap.Tap {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taps[server] == nil && slices.Contains(twelve, server) {
		w.taps[server] = new(tap.Tap)
	}
	return w.taps[server]
}

// happens is an event at pbx-ber-01.
func (w *world) happens(name string, what fields) {
	body, _ := json.Marshal(what)
	w.tap("pbx-ber-01").Event("ami.events.pbx-ber-01."+name, body, w.clock().UnixNano())
}

// pass has time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	w.model.Tick(w.now)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// tell is a message of the node b1.
func (w *world) tell(subject string, what fields) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := fields{"node": "b1", "at": stamp(w.now)}
	maps.Copy(all, what)
	body, _ := json.Marshal(all)
	w.model.Status(subject, body, w.now)
}

// put is an object of AMI_STATE.
func (w *world) put(key string, what fields) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, _ := json.Marshal(what)
	w.model.State(key, body, w.now)
}

func (w *world) node(names []string, nats string) {
	streams := []fields{}
	for i, name := range []string{"AMI_EVENTS", "AMI_STATUS", "AMI_AUDIT"} {
		streams = append(streams, fields{"name": name, "state": "ok", "bytes": uint64(19_756_849_562) >> (12 * i), "since": stamp(start)})
	}
	ready := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return w.away[name] })
	w.tell("ami.nodes.b1", fields{"version": "v1.4.0", "uptime_s": 532_800, "servers": names, "ready": ready, "state": w.kept, "nats": nats, "way": "fast_ingest", "delivery": "jetstream",
		"connections": fields{"events": nats, "control": nats}, "streams": streams})
}

func (w *world) up(name string, ago time.Duration) {
	delete(w.away, name)
	w.tell("ami.status."+name+".connection", fields{"role": "event", "to": "up", "version": "11.0.0", "since": stamp(start.Add(-ago)), "addr": "10.20.4.12:5038",
		"sessions": fields{"event": "up", "action": "up"}})
	w.tell("ami.status."+name+".breaker", fields{"to": "closed", "since": stamp(start.Add(-ago))})
}

// flow has events come in and be stored, so many a second, more in one minute and less in
// the next.
func (w *world) flow(name string, step int, in, stored uint64, held int64, dropped uint64) {
	seconds := float64(step) * 10
	wave := math.Sin(seconds/70+float64(in)) + math.Sin(seconds/31)/2
	received := uint64(41_000_000 + float64(in)*(seconds+9*wave))
	published := received - in*uint64(step/40)/9 // some wait
	if in != stored {
		published = uint64(41_000_000 + float64(stored)*(seconds+9*wave) - float64(dropped))
	}
	level := "normal"
	if held > 53<<20 {
		level = "high"
	}
	w.flows[name] = fields{"trigger": "interval", "received": received, "published": published, "queued": received - published - min(dropped, received-published), "in_flight": 0, "filtered": 0,
		"dropped":         fields{"shed": dropped},
		"outbox":          fields{"depth": received - published, "bytes": held, "capacity": 64 << 20, "high_water": max(held, 8<<20), "level": level},
		"write_buffer":    fields{"depth": 1, "bytes": 400, "capacity": 65536, "high_water": 6000, "level": "normal"},
		"pending_actions": fields{"depth": 7, "capacity": 1024, "high_water": 61, "level": "normal"}}
	w.tell("ami.status."+name+".buffers", w.flows[name])
}

var twelve = strings.Fields("pbx-ber-01 pbx-ber-02 pbx-ber-03 pbx-fra-01 pbx-fra-02 pbx-ham-01 pbx-ham-02 pbx-koe-01 pbx-lej-01 pbx-muc-01 pbx-muc-02 pbx-stg-01")

// tenMinutes is twelve servers that came up long ago, of which say tells each ten
// seconds: the i'th time, of the k'th server.
func tenMinutes(say func(w *world, i, k int, name string)) *world {
	w := newWorld()
	w.now = start.Add(-10 * time.Minute)
	for i := range 61 {
		w.node(twelve, "CONNECTED")
		for k, name := range twelve {
			if i == 0 {
				w.up(name, time.Duration(37*(k+1))*time.Hour)
			}
			say(w, i, k, name)
		}
		if i < 60 {
			w.pass(10 * time.Second)
		}
	}
	return w
}

// flowWell has all that comes in at the k'th server be stored.
func (w *world) flowWell(i, k int, name string) {
	rate := uint64(96 + 53*k)
	w.flow(name, i, rate, rate, int64(k+1)<<17, 0)
}

// allWell is twelve servers of which nothing bad can be said.
func allWell() *world {
	return tenMinutes(func(w *world, i, k int, name string) {
		w.flowWell(i, k, name)
		w.act(i, k, name)
	})
}

// act is the Actions of the k'th server.
func (w *world) act(i, k int, name string) {
	if w.flows[name] == nil {
		return // nothing of it was told yet
	}
	p95 := float64(8+3*k) * (2 + math.Sin(float64(i)/5+float64(k))) / 2
	refused := fields{"refused": fields{}, "last_refused": nil}
	if k == 3 && i > 40 {
		refused = fields{"refused": fields{"forbidden": 2 * (i - 40), "busy": 1}, "last_refused": fields{"at": stamp(w.now), "action": "Originate", "kind": "forbidden"}}
	}
	w.acted(name, i*(k+1), p95, refused)
}

// acted is the same for any server of which the buffers were told.
func (w *world) acted(name string, ended int, p95 float64, more fields) {
	msg := maps.Clone(w.flows[name])
	msg["actions"] = fields{"answered": ended, "failed": 0, "p95_ms": p95, "refused": fields{}, "last_refused": nil}
	maps.Copy(msg["actions"].(fields), more)
	w.tell("ami.status."+name+".buffers", msg)
}

// threeIll is the same with one that drops, one that is down and one that is refused.
func threeIll() *world {
	w := tenMinutes(func(w *world, i, k int, name string) {
		switch {
		case name == "pbx-ber-03":
			w.flow(name, i, 2140, 2035, int64(44<<20+i*160_000), uint64(max(0, i-33)*820))
		case name == "pbx-muc-02" && i == 0:
			w.lose(name, "dial", "dial tcp 10.20.4.12:5038: connect: connection refused", 31*time.Second)
		case name == "pbx-ham-01" && i == 20:
			w.lose(name, "auth", `Login refused: "Authentication failed"`, 8*time.Minute)
		case name != "pbx-muc-02" && name != "pbx-ham-01":
			w.flowWell(i, k, name)
		}
		if !w.away[name] {
			w.act(i, k, name)
		}
	})
	w.lose("pbx-muc-02", "dial", "dial tcp 10.20.4.12:5038: connect: connection refused", 31*time.Second)
	w.tell("ami.status.pbx-muc-02.breaker", fields{"to": "open", "reason": "dial", "error": "dial", "failures": 5, "since": stamp(w.now.Add(-9 * time.Second)), "retry_at": stamp(w.now.Add(21 * time.Second))})
	w.lose("pbx-ham-01", "auth", `Login refused: "Authentication failed"`, 115*time.Second)
	w.node(twelve, "CONNECTED")
	w.tell("ami.status.pbx-stg-01.gap", fields{"from": stamp(start.Add(-6 * time.Hour)), "to": stamp(start.Add(-6*time.Hour + 30*time.Second)), "reason": "closed", "lost": nil, "restarted": true})
	return w
}

func (w *world) lose(name, reason, err string, retry time.Duration) {
	w.away[name] = true
	w.tell("ami.status."+name+".connection", fields{"role": "event", "to": "waiting", "since": stamp(w.now), "addr": "10.20.4.12:5038", "reason": reason, "error": err, "failures": 5,
		"retry_in_ms": retry.Milliseconds(), "sessions": fields{"event": "waiting", "action": "waiting"}})
}

// natsDown is the twelve while NATS has been away for a while.
func natsDown() *world {
	w := allWell()
	for i := range 11 {
		w.pass(10 * time.Second)
		w.node(twelve, "RECONNECTING")
		for k, name := range twelve {
			w.flow(name, 61+i, uint64(96+53*k), 0, int64(i+1)*int64(k+2)<<17, 0)
		}
	}
	return w
}

// stateOff is the twelve where the bridge has no right to the bucket.
func stateOff() *world {
	w := allWell()
	w.kept = fields{"state": "off", "reason": "the bucket is no_permission: Permissions Violation"}
	w.node(twelve, "CONNECTED")
	return w
}

// withFloor is the twelve with queues, callers, agents and calls; one server's are stale.
func withFloor() *world {
	w := allWell()
	w.put("pbx-ber-01.server", fields{"State": "live", "Since": stamp(start)})
	w.put("pbx-muc-02.server", fields{"State": "stale", "Since": stamp(start.Add(-16 * time.Minute))})
	n := 0
	call := func(server, queue string, position int, ago time.Duration) {
		n++
		id := fmt.Sprintf("179600%d.%d", n, n)
		number := fmt.Sprintf("+49305550%03d", 144+n)
		at := stamp(start.Add(-ago))
		w.put(server+".channel."+strings.ReplaceAll(id, ".", "=2E"), fields{"Uniqueid": id, "Linkedid": id, "CallerIDNum": number, "Channel": "PJSIP/trunk-a-0000" + number[8:],
			"ChannelStateDesc": "Up", "Since": at})
		if queue != "" {
			w.put(server+".caller."+queue+"."+strings.ReplaceAll(id, ".", "=2E"), fields{"Queue": queue, "Position": fmt.Sprint(position), "CallerIDNum": number, "Since": at})
		}
	}
	agents := strings.Split("Ines Faber|Sam Okafor|Jule Behr|Tariq Aziz|Mira Holm|Can Yilmaz|Aylin Kaya|Lea Brandt|Ole Jansen|Jonas Weber|Amara Osei|Nele Voss|Rosa Melo|Piotr Nowak|Eva Lindt|Max Ritter|Uwe Stahl|Kim Berger|Dana Cole|Finn Adler", "|")
	for i, queue := range strings.Fields("support-de support-en orders billing returns vip night-line") {
		w.put("pbx-ber-01.queue."+queue, fields{"Queue": queue})
		for k := range max(0, 5-2*i) {
			call("pbx-ber-01", queue, k+1, time.Duration(252/(i+1)/(k+1))*time.Second)
		}
		for k := range 6 {
			who := (i*3 + k) % len(agents)
			status, paused, reason := 1, "0", ""
			switch {
			case who == 0:
				status = 6
			case who >= 5 && who < 16:
				status = 2
			case who >= 16 && who < 19:
				paused, reason = "1", []string{"training", "lunch", "break"}[who-16]
			case who == 19:
				status = 5
			}
			w.put("pbx-ber-01.member."+queue+fmt.Sprintf(".PJSIP/%d", 2000+who), fields{"Queue": queue, "Interface": fmt.Sprintf("PJSIP/%d", 2000+who), "MemberName": agents[who],
				"Status": fmt.Sprint(status), "Paused": paused, "PausedReason": reason, "InCall": fmt.Sprint(status / 2 % 2), "At": stamp(start.Add(-time.Duration(17*(who+1)) * time.Second))})
		}
	}
	w.put("pbx-muc-02.queue.service-muc", fields{"Queue": "service-muc"})
	call("pbx-muc-02", "service-muc", 1, 17*time.Minute)
	for range 30 {
		call("pbx-ber-01", "", 0, time.Duration(n*13)*time.Second)
	}
	w.pass(0)
	return w
}

// served are the pages of w.
func served(w *world, change func(*Options)) *Server {
	o := Options{Node: "b1", Clock: w.clock, Snapshot: w.snapshot, Calls: w.calls, Tap: w.tap, Access: Access{Numbers: view.NumbersLast4}}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// listen listens at addr, which was somebody else's a moment ago.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

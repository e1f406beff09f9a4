//go:build linux

package load

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// tableSeconds is how long each phase lasts in which something is sent.
var tableSeconds = flag.Int("seconds", 5, "how long the phases of BenchmarkTable last")

// place is nats-server, a bridge and simulated Asterisks, each a process of its
// own, and this process as who looks on.
type place struct {
	b      *testing.B
	nats   *harness.NATSProcess
	bridge *program
	web    string // of the bridge
	client *nats.Conn
	stream jetstream.Stream
	table  []string
}

// BenchmarkTable prints what the bridge costs and how long it takes, beside the
// least that could be done, all in one run. Only the ratios mean something, and with
// -seconds=1 no more than that it runs.
func BenchmarkTable(b *testing.B) {
	seconds := *tableSeconds
	p := newPlace(b)
	busy, busyAddr := play(b, "asterisk")
	quiet, quietAddr := play(b, "asterisk")
	p.serve(map[string]string{"busy": busyAddr, "quiet": quietAddr}, "BRIDGE_STATE=off")
	busy.ask("await 2")
	quiet.ask("await 2")
	js := harness.JetStream(b, p.client)
	harness.Eventually(b, "the stream is there", func() (there bool) {
		var err error
		p.stream, err = js.Stream(b.Context(), streams.EventStream)
		return err == nil
	})
	publisher, _ := play(b, "publisher", urlEnv+"="+p.nats.URL)
	p.costs("", busy, publisher, seconds)
	best := p.overload(busy)
	p.quiet(busy, quiet, oldHalf, seconds, "x-quiet-p99")
	p.quiet(busy, quiet, best/2, seconds, "x-quiet-p99-half")
	p.quietBare(publisher, best/2, seconds)
	p.actions(quietAddr, seconds)
	p.bridge.kill()
	busy, busyAddr = play(b, "asterisk")
	p.serve(map[string]string{"busy": busyAddr})
	busy.ask("await 2")
	p.costs(" with state", busy, publisher, seconds)
	p.bridge.kill()
	p.idle("", seconds, "BRIDGE_STATE=off")
	p.bridge.kill()
	p.idle(" with state", seconds)
	p.json()
	b.Logf("three processes on %d cores:\n%s", runtime.NumCPU(), strings.Join(p.table, "\n"))
	for b.Loop() {
		continue
	}
}

func (p *place) row(format string, args ...any) {
	p.table = append(p.table, fmt.Sprintf(format, args...))
}

func newPlace(b *testing.B) *place {
	b.Helper()
	p := &place{b: b, nats: harness.StartNATS(b), web: harness.Addr(b)}
	p.client = harness.Client(b, p.nats.URL)
	return p
}

// serve starts the bridge, with those settings besides.
func (p *place) serve(servers map[string]string, more ...string) {
	p.b.Helper()
	path := filepath.Join(p.b.TempDir(), "settings")
	settings := []string{
		"BRIDGE_NATS_URL=" + p.nats.URL, "BRIDGE_HTTP_ADDR=" + p.web, "BRIDGE_NODE=b1", "BRIDGE_STREAM_MAX_BYTES=4GiB", "BRIDGE_LOG_LEVEL=error",
		"BRIDGE_SERVERS=" + strings.Join(slices.Sorted(maps.Keys(servers)), ","),
		"BRIDGE_AMI_USERNAME=bridge", "BRIDGE_AMI_SECRET=s3cret", "BRIDGE_CONNECT_RATE=500",
	}
	settings = append(settings, more...)
	for name, addr := range servers {
		settings = append(settings, "BRIDGE_SERVER_"+strings.ToUpper(name)+"_ADDR="+addr)
	}
	if err := os.WriteFile(path, []byte(strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		p.b.Fatal(err)
	}
	cmd := exec.Command(harness.BuildBridge(p.b), "run")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "BRIDGE_ENV_FILE=" + path}
	cmd.Stderr = p.b.Output()
	p.bridge = start(p.b, cmd)
}

// scrape returns what /metrics says, "" while it does not answer.
func (p *place) scrape() string {
	response, err := http.Get("http://" + p.web + "/metrics")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// sum is that of all series of a metric.
func (p *place) sum(name string) (sum float64) {
	for _, match := range regexp.MustCompile(`(?m)^ami_nats_bridge_`+name+`(?:\{.*\})? (\S+)$`).FindAllStringSubmatch(p.scrape(), -1) {
		value, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			p.b.Fatal(err)
		}
		sum += value
	}
	return sum
}

// stored is how many messages the stream has ever stored.
func (p *place) stored() uint64 {
	p.b.Helper()
	info, err := p.stream.Info(p.b.Context())
	if err != nil {
		p.b.Fatal(err)
	}
	return info.State.LastSeq
}

// await returns when the stream has stored so many messages.
func (p *place) await(n uint64) {
	p.b.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for limit := time.Now().Add(harness.Patience); p.stored() < n; <-every.C {
		if time.Now().After(limit) {
			p.b.Fatalf("%d of %d events are stored", p.stored(), n)
		}
	}
}

// costs measures the CPU of an event on its way through the bridge, and of one
// that is published from memory.
func (p *place) costs(with string, asterisk, publisher *program, seconds int) {
	for _, rate := range []int{1000, 5000, 20_000} {
		n := rate * seconds
		cost := func(from *program, by int, verb string) (own, server float64, calls string) {
			before, ownBefore, serverBefore := p.stored(), cpuOf(p.b, by), cpuOf(p.b, p.nats.PID())
			reads, writes, wakeups := callsOf(p.b, by)
			from.ask(verb+" %d %d", n, rate)
			p.await(before + uint64(n))
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
			own, server = each(cpuOf(p.b, by)-ownBefore), each(cpuOf(p.b, p.nats.PID())-serverBefore)
			allReads, allWrites, allWakeups := callsOf(p.b, by)
			of := func(now, before int) float64 { return float64(now-before) / float64(n) }
			return own, server, fmt.Sprintf("%.2f reads, %.2f writes, %.2f wake-ups", of(allReads, reads), of(allWrites, writes), of(allWakeups, wakeups))
		}
		bridge, withBridge, bridgeCalls := cost(asterisk, p.bridge.pid(), "send")
		bare, withBare, bareCalls := cost(publisher, publisher.pid(), "send")
		p.row("CPU an event at %6d/s%s: bridge %5.1f µs, PublishMsgAsync alone %5.1f: %.2f", rate, with, bridge, bare, bridge/bare)
		p.row("                 nats-server for it %5.1f µs, for PublishMsgAsync %5.1f: %.2f", withBridge, withBare, withBridge/withBare)
		if with == "" {
			_, least, _ := cost(publisher, publisher.pid(), "store")
			p.row("                 nats-server for what nobody acknowledges, written each 5 ms, %5.1f: %.2f", least, least/withBare)
		}
		p.row("                 bridge %s; PublishMsgAsync %s", bridgeCalls, bareCalls)
		p.b.ReportMetric(bridge/bare, fmt.Sprintf("x-cpu-at-%d%s", rate, strings.ReplaceAll(with, " ", "-")))
	}
}

const burstEvents = 3 * burstRate

// overload measures the best rate, and three seconds of more than that.
func (p *place) overload(asterisk *program) (best int) {
	for range 3 {
		before, began := p.stored(), time.Now()
		asterisk.ask("send %d %d", ingestEvents, 1_000_000)
		p.await(before + ingestEvents)
		best = max(best, int(ingestEvents/time.Since(began).Seconds()))
	}
	before, began := p.stored(), time.Now()
	asterisk.ask("send %d %d", burstEvents, burstRate)
	during := float64(p.stored()-before) / time.Since(began).Seconds()
	harness.Eventually(p.b, "the outbox is empty", func() bool { return p.sum("outbox_events")+p.sum("outbox_in_flight_events") == 0 })
	p.row("stored at %d/s: %6.0f/s, at best %d/s: %.2f", burstRate, during, best, during/float64(best))
	p.row("of %d events in three seconds %.0f were dropped", burstEvents, p.sum("events_dropped_total"))
	p.b.ReportMetric(during/float64(best), "x-overload")
	return best
}

// oldHalf is half of the best rate that there was when it was first measured how long a quiet
// server's events take beside it. The more fit since, the more of the machine half of it takes.
const oldHalf = 15_000

// quiet measures how long a quiet server's events take, alone and beside a
// neighbour that sends so many a second.
func (p *place) quiet(busy, quiet *program, rate, seconds int, unit string) {
	latencies := func() time.Duration {
		var all []time.Duration
		ticks, err := p.client.SubscribeSync("ami.events.quiet.Tick")
		if err != nil {
			p.b.Fatal(err)
		}
		defer ticks.Unsubscribe() //nolint:errcheck // of a test
		if err := p.client.Flush(); err != nil {
			p.b.Fatal(err)
		}
		n := 200 * seconds
		var group sync.WaitGroup
		group.Go(func() { quiet.ask("tick %d", n) })
		for range n {
			m, err := ticks.NextMsg(harness.Patience)
			if err != nil {
				p.b.Fatal(err)
			}
			_, digits, _ := bytes.Cut(m.Data, []byte(`"Sent":"`))
			sent, err := strconv.ParseInt(string(digits[:19]), 10, 64)
			if err != nil {
				p.b.Fatal(err)
			}
			all = append(all, time.Since(time.Unix(0, sent)))
		}
		group.Wait()
		slices.Sort(all)
		return quantile(all, 99)
	}
	alone := latencies()
	var group sync.WaitGroup
	group.Go(func() { busy.ask("send %d %d", rate*(seconds+1), rate) })
	beside := latencies()
	group.Wait()
	ratio := float64(beside) / float64(alone)
	p.row("p99 of a quiet server: alone %v, beside a neighbour at %d/s %v: %.1f", alone, rate, beside, ratio)
	p.b.ReportMetric(ratio, unit)
}

// quietBare measures what there is without the bridge: how long a message takes that is
// stored nowhere, on a connection of its own, alone and beside PublishMsgAsync at that rate.
func (p *place) quietBare(publisher *program, rate, seconds int) {
	const subject = "bare.tick"
	nc := harness.Client(p.b, p.nats.URL)
	ticks, err := p.client.SubscribeSync(subject)
	if err == nil {
		err = p.client.Flush()
	}
	if err != nil {
		p.b.Fatal(err)
	}
	latencies := func() time.Duration {
		var all []time.Duration
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for range 200 * seconds {
			<-every.C
			began := time.Now()
			err := nc.Publish(subject, nil)
			if err == nil {
				_, err = ticks.NextMsg(harness.Patience)
			}
			if err != nil {
				p.b.Fatal(err)
			}
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return quantile(all, 99)
	}
	alone := latencies()
	var group sync.WaitGroup
	group.Go(func() { publisher.ask("send %d %d", rate*(seconds+1), rate) })
	beside := latencies()
	group.Wait()
	p.row("p99 of a message that is stored nowhere: alone %v, beside PublishMsgAsync at %d/s %v: %.1f", alone, rate, beside, float64(beside)/float64(alone))
}

// getvar asks a service for the same variable of an Asterisk, each time that it is called.
func (p *place) getvar(subject string) func() error {
	return func() error {
		reply, err := p.client.Request(subject, []byte(`{"Variable":"GREETING"}`), harness.Patience)
		if err == nil && reply.Header.Get("Nats-Service-Error") != "" {
			err = errors.New(string(reply.Data))
		}
		return err
	}
}

// actions measures an Action through the bridge, one after the other, and one
// through a bare responder, and one without NATS.
func (p *place) actions(addr string, rounds int) {
	play(p.b, "responder", urlEnv+"="+p.nats.URL, addrEnv+"="+addr)
	bridge, bare := &way{name: "bridge", ask: p.getvar("ami.actions.quiet.Getvar")}, &way{name: "bare responder", ask: p.getvar("bare.Getvar")}
	alone := &way{name: "direct AMI", ask: direct(p.b, addr, realasterisk.User{Name: "bridge", Secret: "s3cret"}, 1)}
	for range 2 * rounds {
		for _, w := range []*way{bridge, bare, alone} {
			w.round(p.b, 1)
		}
	}
	p50 := func(w *way) time.Duration { slices.Sort(w.took); return quantile(w.took, 50) }
	p.row("p50 of an Action: bridge %v, bare responder %v: %.2f; direct AMI %v", p50(bridge), p50(bare), float64(p50(bridge))/float64(p50(bare)), p50(alone))
	p.b.ReportMetric(float64(p50(bridge))/float64(p50(bare)), "x-action-p50")
}

// idle measures a thousand servers that say nothing, and with state were asked what is up, and a
// scrape of them.
func (p *place) idle(with string, seconds int, more ...string) {
	const servers = 1000
	asterisk, addr := play(p.b, "asterisk")
	all := map[string]string{}
	for i := range servers {
		all[fmt.Sprintf("pbx%d", i)] = addr
	}
	p.serve(all, more...)
	asterisk.ask("await %d", 2*servers)
	harness.Eventually(p.b, "all are up, and what is up at them is known", func() bool {
		return p.sum("ami_session_up") == 2*servers && (with == "" || strings.Count(p.scrape(), "\nami_nats_bridge_state_sync_seconds{") == servers)
	})
	before, began := cpuOf(p.b, p.bridge.pid()), time.Now()
	<-time.After(6 * time.Duration(seconds) * time.Second) // what is measured is that nothing happens, but for what comes at an interval
	busy := float64(cpuOf(p.b, p.bridge.pid())-before) / float64(time.Since(began))
	p.row("%d idle servers%s: %d MiB, %.1f %% of a core", servers, with, memoryOf(p.b, p.bridge.pid())>>20, 100*busy)
	took, text := time.Hour, ""
	for range 3 {
		began := time.Now()
		text = p.scrape()
		took = min(took, time.Since(began))
	}
	p.row("a scrape of them: %d lines, %.1f MB, %v", strings.Count(text, "\n"), float64(len(text))/1e6, took.Round(time.Millisecond))
}

// json measures the way from bytes to JSON.
func (p *place) json() {
	wire := busyEvents(p.b)
	took, events := time.Hour, 0
	for range 20 {
		reader, began := frames.NewReader(bytes.NewReader(wire), 1<<20), time.Now()
		var buf []byte
		for events = 0; ; events++ {
			f, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				p.b.Fatal(err)
			}
			buf, _ = frames.AppendJSON(buf[:0], f, frames.UTF8)
		}
		took = min(took, time.Since(began))
	}
	p.row("bytes to JSON: %.2f µs an event", float64(took.Nanoseconds())/1e3/float64(events))
}

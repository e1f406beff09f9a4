package load

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// busyEvents is what Asterisk 22 sent under load: events and nothing else.
func busyEvents(t testing.TB) (wire []byte) {
	t.Helper()
	wire, err := readBusyEvents()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// readBusyEvents is busyEvents where there is no test: it runs in the folder of
// the package.
func readBusyEvents() (wire []byte, err error) {
	file, err := os.Open(filepath.Join("..", "..", "frames", "testdata", "busy.ami.gz"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(unzipped)
	if err != nil {
		return nil, err
	}
	for frame := range bytes.SplitAfterSeq(all, []byte("\r\n\r\n")) {
		if bytes.HasPrefix(frame, []byte("Event: ")) && bytes.HasSuffix(frame, []byte("\r\n\r\n")) {
			wire = append(wire, frame...)
		}
	}
	return wire, nil
}

// The sizes in docs/consuming.md: what the events of a busy Asterisk take in the
// stream and on disk, and what recognizing repeats takes in memory. They are measured over
// two hundred thousand events.
func BenchmarkSizing(b *testing.B) {
	page := harness.ReadText(b, harness.Root(b), "docs", "consuming.md")
	var limit, disk, memory float64
	for _, figure := range []struct {
		to   *float64
		text string
	}{
		{&limit, `\*\*(\d+) bytes\*\* of the stream's limit`},
		{&disk, `\*\*(\d+) bytes\*\* on disk`},
		{&memory, `\*\*(\d+) bytes\*\* of memory`},
	} {
		match := regexp.MustCompile(figure.text).FindStringSubmatch(page)
		if match == nil {
			b.Fatalf("docs/consuming.md has no %s", figure.text)
		}
		*figure.to, _ = strconv.ParseFloat(match[1], 64)
	}
	gotLimit, gotDisk := storedBytes(b, 1.15*disk)
	gotMemory := middleIDBytes(b)
	b.Logf("an event takes %.0f bytes of the limit, %.0f on disk, %.0f of memory while its id is known", gotLimit, gotDisk, gotMemory)
	near := func(name string, documented, measured, by float64) {
		if math.Abs(documented-measured) > by*measured {
			b.Errorf("%s: documented %.0f, measured %.0f", name, documented, measured)
		}
	}
	near("limit", limit, gotLimit, 0.1)
	near("disk", disk, gotDisk, 0.15)
	near("memory", memory, gotMemory, 0.4)
	for _, rate := range []float64{100, 1000, 10_000} {
		day := rate * 86_400
		row := fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", thousands(rate), gib(day*limit), gib(30*day*limit),
			gib(day*disk), gib(30*day*disk), mib(rate*120*memory))
		if !strings.Contains(page, "\n"+row+"\n") {
			b.Errorf("docs/consuming.md has no row\n%s", row)
		}
	}
}

// otherDigits is wire with other numbers in it, as long and as often the same: the
// same bytes again would be compressed to nothing.
func otherDigits(wire []byte, seed uint64) []byte {
	to := rand.New(rand.NewPCG(seed, 0)).Perm(10)
	return bytes.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0' + rune(to[r-'0'])
		}
		return r
	}, wire)
}

func thousands(n float64) string {
	if n < 1000 {
		return strconv.Itoa(int(n))
	}
	return fmt.Sprintf("%d,%03d", int(n)/1000, int(n)%1000)
}

func gib(n float64) string {
	if n /= 1 << 30; n < 1024 {
		return fmt.Sprintf("%.0f GiB", n)
	}
	return fmt.Sprintf("%.1f TiB", n/1024)
}

func mib(n float64) string { return fmt.Sprintf("%.0f MiB", math.Ceil(n/(1<<20))) }

// storedBytes returns what an event of a busy Asterisk takes of the stream's
// limit and on disk, where it is to come to less than atMost.
func storedBytes(t testing.TB, atMost float64) (limit, disk float64) {
	t.Helper()
	dir := t.TempDir()
	srv := natstest.Serve(t, func(o *natsserver.Options) { o.StoreDir = dir })
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true, WriteTimeout: 20 * time.Second})
	r := harness.Bridge(t, srv.ClientURL(), func(c *config.Config) { harness.ChaosConfig(c); c.Stream.MaxBytes = 1 << 30 }, harness.Server("pbx1", addr, "bridge", "s3cret"))
	wire := busyEvents(t)
	count := uint64(bytes.Count(wire, []byte("\r\n\r\n")))
	const rounds = 40 // several blocks of the stream: only full ones are compressed
	for round := range uint64(rounds) {
		sim.EmitRaw(otherDigits(wire, round))
		r.Drained("pbx1", count*(round+1))
	}
	js := harness.JetStream(t, r.Client)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	if state.Msgs != rounds*count {
		t.Fatalf("%d of %d events are stored", state.Msgs, rounds*count)
	}
	// A block is compressed when it is full, which may take a moment.
	onDisk := func() float64 { return float64(fileBytes(t, dir)) / float64(state.Msgs) }
	harness.Eventually(t, "full blocks are compressed", func() bool { return onDisk() < atMost })
	return float64(state.Bytes) / float64(state.Msgs), onDisk()
}

// fileBytes returns the size of the stream's files under dir.
func fileBytes(t testing.TB, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a block was replaced by its compressed self
		}
		if err != nil || d.IsDir() || !strings.Contains(path, streams.EventStream) {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// middleIDBytes is idBytes, the middle of five times: what the benchmarks before
// this left may grow or go meanwhile.
func middleIDBytes(t testing.TB) float64 {
	t.Helper()
	var all []float64
	for range 5 {
		all = append(all, idBytes(t))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// idBytes returns what the heap of nats-server shrinks by for each message id
// that a stream remembered, when that is deleted: while they came, the heap lost
// what tests before this had left. The stream itself keeps one message.
func idBytes(t testing.TB) float64 {
	t.Helper()
	const n = 200_000
	js, err := jetstream.New(harness.Client(t, harness.NATS(t)), jetstream.WithPublishAsyncMaxPending(1000),
		jetstream.WithDefaultTimeout(harness.Patience))
	if err != nil {
		t.Fatal(err)
	}
	config := jetstream.StreamConfig{
		Name: "IDS", Subjects: []string{"ids"}, MaxMsgs: 1, Storage: jetstream.MemoryStorage, Duplicates: 30 * time.Minute,
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		id := fmt.Sprintf("node-1.pbx1.mwukn31vwz.%d", i)
		if _, err := js.PublishAsync("ids", nil, jetstream.WithMsgID(id), jetstream.WithStallWait(harness.Patience)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(harness.Patience):
		t.Fatal("not all is acknowledged")
	}
	with := heapInUse()
	if err := js.DeleteStream(t.Context(), "IDS"); err != nil {
		t.Fatal(err)
	}
	return (with - heapInUse()) / n
}

func heapInUse() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

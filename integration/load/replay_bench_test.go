//go:build linux

package load

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const (
	replayEvents = 3 * ingestEvents
	replayRounds = 3
)

// BenchmarkReplay prints how many events a second `replay -o json` prints, and
// how many a plain consumer does, each a process beside that of nats-server. They
// take turns.
func BenchmarkReplay(b *testing.B) {
	n := harness.StartNATS(b)
	fillEvents(b, n.URL, replayEvents)
	bridge := harness.BuildBridge(b)
	environment := append(os.Environ(), "BRIDGE_NATS_URL="+n.URL)
	ways := []func() *exec.Cmd{
		func() *exec.Cmd {
			cmd := exec.Command(bridge, "replay", "-o", "json")
			cmd.Env = environment
			return cmd
		},
		func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(environment, roleEnv+"=consumer", urlEnv+"="+n.URL)
			return cmd
		},
	}
	took, cpu := make([][]time.Duration, len(ways)), make([]time.Duration, len(ways))
	for range replayRounds {
		for i, way := range ways {
			cmd := way()
			began := time.Now()
			if lines := linesOf(b, cmd); lines != replayEvents {
				b.Errorf("%v printed %d lines of %d", cmd.Args, lines, replayEvents)
			}
			took[i] = append(took[i], time.Since(began))
			cpu[i] += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / replayRounds
		}
	}
	rate := func(i int) float64 { return replayEvents / middle(took[i]).Seconds() }
	for i, name := range []string{"replay -o json", "a plain consumer"} {
		b.Logf("%-17s %7.0f events/s, %5.1f µs of CPU an event", name, rate(i), float64(cpu[i].Nanoseconds())/1e3/replayEvents)
	}
	for b.Loop() {
		continue
	}
	b.ReportMetric(rate(0)/rate(1), "x-plain-consumer")
}

// linesOf counts the lines that a command prints to its end.
func linesOf(b *testing.B, cmd *exec.Cmd) (lines int) {
	b.Helper()
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		lines += bytes.Count(buf[:n], []byte("\n"))
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%v\n%s", err, &said)
	}
	return lines
}

// fillEvents stores so many events of a busy Asterisk, a multiple of ingestEvents,
// as the bridge would.
func fillEvents(b *testing.B, url string, n int) {
	b.Helper()
	nc := harness.Client(b, url)
	js := harness.JetStream(b, nc)
	_, err := js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>"}, AllowDirect: true, AllowBatchPublish: true, Compression: jetstream.S2Compression,
	})
	if err != nil {
		b.Fatal(err)
	}
	_, payloads := busyPayloads(b)
	for i := range n / ingestEvents {
		bareFastIngest(b, nc, payloads, fmt.Sprintf("fill%d", i))
	}
}

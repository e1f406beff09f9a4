//go:build linux

package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// urlEnv and addrEnv say where NATS and Asterisk are to the roles that want them.
const urlEnv, addrEnv = "AMI_TEST_ROLE_NATS", "AMI_TEST_ROLE_ASTERISK"

// perform is the test's binary in a role, until its standard input ends.
func perform(role string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	roles := map[string]func(context.Context) error{
		"asterisk": actAsterisk, "publisher": actPublisher, "consumer": actConsumer, "responder": actResponder,
	}
	if err := roles[role](ctx); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		return 1
	}
	return 0
}

// asked calls do for each line of the standard input, and says when it has ended.
func asked(do func(line string) error) error {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := do(in.Text()); err != nil {
			return err
		}
		fmt.Println("done")
	}
	return nil
}

// actAsterisk is a simulated Asterisk. It says its address first. It can "await"
// so many sessions, "kick" them all, "send" so many events of a busy Asterisk at so many a second, and
// "tick" so often: one event each 5 ms that has the time of its sending.
func actAsterisk(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sim := amisim.New(amisim.Config{Users: map[string]string{"bridge": "s3cret"}, NotBooted: true, WriteTimeout: harness.Patience})
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = sim.Serve(ctx, listener) })
	defer group.Wait()
	defer cancel()
	var events [][]byte
	fmt.Println(listener.Addr())
	return asked(func(line string) error {
		var n, rate int
		switch {
		case line == "kick":
			sim.Kick()
		case scanned(line, "await %d", &n):
			every := time.NewTicker(10 * time.Millisecond)
			defer every.Stop()
			for sim.Sessions() < n {
				<-every.C
			}
		case scanned(line, "send %d %d", &n, &rate):
			if events == nil {
				wire, err := readBusyEvents()
				if err != nil {
					return err
				}
				events = slices.DeleteFunc(piecesOf(wire, 1), func(event []byte) bool {
					return bytes.Contains(event, []byte("ActionID")) // an answer's, which nobody has asked for
				})
			}
			at := 0
			evenly(n, rate, time.Millisecond, func(more int) {
				var due []byte // is the simulated one's from then on
				for range more {
					due = append(due, events[at%len(events)]...)
					at++
				}
				sim.EmitRaw(due)
			})
		case scanned(line, "tick %d", &n):
			evenly(n, 200, time.Millisecond, func(more int) {
				for range more {
					sim.Emit("Event", "Tick", "Sent", fmt.Sprint(time.Now().UnixNano()))
				}
			})
		default:
			return fmt.Errorf("what is %q?", line)
		}
		return nil
	})
}

func scanned(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return n == len(into) && err == nil
}

// evenly calls do n times in all at so many a second, for all that is due in a
// time at once.
func evenly(n, rate int, every time.Duration, do func(more int)) {
	began := time.Now()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for done := 0; done < n; {
		<-ticker.C
		if due := min(n, int(time.Since(began).Seconds()*float64(rate))); due > done {
			do(due - done)
			done = due
		}
	}
}

// connected is a client of the NATS that urlEnv names.
func connected() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(os.Getenv(urlEnv), nats.Timeout(harness.Patience))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2000), jetstream.WithDefaultTimeout(harness.Patience))
	return nc, js, err
}

// actPublisher can "send" like actAsterisk: to the stream, by PublishMsgAsync and
// with no AMI, what the bridge makes of the events. It can "store" so many as well: what comes
// within the time that the bridge lingers goes out together, and nobody acknowledges it.
func actPublisher(context.Context) error {
	nc, js, err := connected()
	if err != nil {
		return err
	}
	wire, err := readBusyEvents()
	if err != nil {
		return err
	}
	payloads, err := payloadsOf(wire)
	if err != nil {
		return err
	}
	async := func(msg *nats.Msg) error {
		for {
			if _, err := js.PublishMsgAsync(msg); !errors.Is(err, jetstream.ErrTooManyStalledMsgs) {
				return err
			}
		}
	}
	fmt.Println("ready")
	at := 0
	return asked(func(line string) error {
		var n, rate int
		publish, every := async, time.Millisecond
		switch {
		case scanned(line, "send %d %d", &n, &rate):
		case scanned(line, "store %d %d", &n, &rate):
			publish, every = nc.PublishMsg, config.DefaultConfig().Linger
		default:
			return fmt.Errorf("what is %q?", line)
		}
		var failed error
		evenly(n, rate, every, func(more int) {
			for range more {
				at++
				msg := ingestMsg()
				id := fmt.Sprintf("b1.pbx1.async.%d", at)
				msg.Header["Nats-Msg-Id"][0], msg.Header["Ami-Seq"][0], msg.Data = id, id, payloads[at%len(payloads)]
				failed = errors.Join(failed, publish(msg))
			}
		})
		<-js.PublishAsyncComplete()
		return errors.Join(failed, nc.Flush())
	})
}

// actConsumer prints the payloads of all events that the stream holds, one a line,
// as they come from an ordered consumer, and ends.
func actConsumer(ctx context.Context) error {
	nc, js, err := connected()
	if err != nil {
		return err
	}
	defer nc.Close()
	consumer, err := js.OrderedConsumer(ctx, streams.EventStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	out := bufio.NewWriter(os.Stdout)
	for more := true; more; {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		about, err := m.Metadata()
		if err != nil {
			return err
		}
		more = about.NumPending > 0
		_, _ = out.Write(m.Data()) // Flush says it
		_ = out.WriteByte('\n')
	}
	return out.Flush()
}

// actResponder answers requests on bare.Getvar with what Asterisk says to the
// same Action on a session of its own, one after the other: the least that a
// responder has to do.
func actResponder(ctx context.Context) error {
	nc, _, err := connected()
	if err != nil {
		return err
	}
	asterisk, err := realasterisk.Dial(ctx, os.Getenv(addrEnv))
	if err != nil {
		return err
	}
	defer asterisk.Close()
	if err := asterisk.Login(ctx, realasterisk.User{Name: "bridge", Secret: "s3cret"}, realasterisk.MD5, "off"); err != nil {
		return err
	}
	_, err = nc.Subscribe("bare.Getvar", func(m *nats.Msg) {
		if _, err := asterisk.Send("Action: Getvar", "Variable: GREETING"); err != nil {
			return
		}
		for {
			f, err := asterisk.Next(ctx)
			if err != nil {
				return
			}
			if f.Get("Response") == "Success" {
				_ = m.Respond(fmt.Appendf(nil, `{"response":"Success","fields":{"Value":%q}}`, f.Get("Value"))) // the caller waits
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Println("ready")
	return asked(func(string) error { return nil })
}

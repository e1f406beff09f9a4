// Command consume reads every event of one server from JetStream, in order, and
// says where some are missing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// place is where a reader of one server's events is.
type place struct {
	session   string
	n         uint64
	announced uint64 // lost events that Gap events have told of, not seen as a jump yet
}

// next takes the next event's Ami-Seq and says what is missing before it, and how
// much of that no Gap event explains. An event that was delivered before, and not
// acknowledged, is repeated.
func (p *place) next(seq string) (missing, unexplained uint64, login, repeated bool, err error) {
	session, number, _ := strings.Cut(seq, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, 0, false, false, fmt.Errorf("Ami-Seq %q: %w", seq, err)
	}
	if session == p.session && n <= p.n {
		return 0, 0, false, true, nil
	}
	login = session != p.session && p.session != ""
	if p.session != "" { // a reader that begins in the middle misses nothing
		missing = n - 1
		if !login {
			missing -= p.n
		}
	}
	explained := min(missing, p.announced)
	p.session, p.n, p.announced = session, n, p.announced-explained
	return missing, missing - explained, login, false, nil
}

func run(ctx context.Context, url, server string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// The server remembers how far this consumer is, also while nobody reads.
	consumer, err := js.CreateOrUpdateConsumer(ctx, "AMI_EVENTS", jetstream.ConsumerConfig{
		Durable: "ledger-" + server, FilterSubject: "ami.events." + server + ".>",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second,
	})
	if err != nil {
		return err
	}
	var p place
	for {
		batch, err := consumer.Fetch(500, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		count := 0
		for msg := range batch.Messages() {
			count++
			if err := p.read(msg); err != nil {
				return err
			}
			if err := msg.Ack(); err != nil { // after the work is done: else it comes again
				return err
			}
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
		if count == 0 { // all is read, or it is slow to come; a reader that stays would go on
			info, err := consumer.Info(ctx)
			if err != nil {
				return err
			}
			if info.NumPending+uint64(info.NumAckPending) > 0 {
				continue
			}
			fmt.Println("read to", p.session, p.n)
			return nil
		}
	}
}

// read does the work with one event.
func (p *place) read(msg jetstream.Msg) error {
	var event struct{ Event, Reason, From, To, Lost string }
	if err := json.Unmarshal(msg.Data(), &event); err != nil {
		return err
	}
	if event.Event == "Gap" {
		fmt.Println("gap:", event.Reason, "from", event.From, "to", event.To, "lost", event.Lost)
		if lost, err := strconv.ParseUint(event.Lost, 10, 64); err == nil { // else: unknown
			p.announced += lost
		}
		return nil
	}
	missing, unexplained, login, repeated, err := p.next(msg.Headers().Get("Ami-Seq"))
	switch {
	case err != nil:
		return err
	case repeated:
		return nil
	case login:
		fmt.Println("login:", p.session)
	}
	if missing > 0 {
		fmt.Println("missing:", missing, "before", p.n, "without a Gap", unexplained)
	}
	return nil
}

func main() {
	if err := run(context.Background(), os.Getenv("NATS_URL"), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// Command screenpop says who is calling a phone: screenpop pbx1 PJSIP/alice.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// channel is what of a channel in the bucket matters here.
type channel struct{ Channel, ChannelStateDesc, ConnectedLineNum, ConnectedLineName, Linkedid string }

func run(ctx context.Context, url, server, phone string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	bucket, err := js.KeyValue(ctx, "AMI_STATE")
	if err != nil {
		return err
	}
	// First what is up now, then each change: a call that already rings is told too.
	watch, err := bucket.Watch(ctx, server+".channel.*")
	if err != nil {
		return err
	}
	rings := map[string]bool{} // by key, so that each call pops up once
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-watch.Updates():
			switch {
			case !open:
				return errors.New("the watch has ended")
			case e == nil: // that was what is up now
				continue
			}
			var c channel
			if e.Operation() == jetstream.KeyValuePut {
				if err := json.Unmarshal(e.Value(), &c); err != nil {
					return fmt.Errorf("%s: %w", e.Key(), err)
				}
			}
			ringing := c.ChannelStateDesc == "Ringing" && strings.HasPrefix(c.Channel, phone+"-")
			switch {
			case ringing && !rings[e.Key()]:
				rings[e.Key()] = true
				fmt.Printf("%s rings: %s <%s>, call %s\n", phone, c.ConnectedLineName, c.ConnectedLineNum, c.Linkedid)
			case !ringing && rings[e.Key()]:
				delete(rings, e.Key())
				fmt.Printf("%s rings no more\n", phone)
			}
		}
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: screenpop SERVER PHONE, such as screenpop pbx1 PJSIP/alice")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	if err := run(ctx, url, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

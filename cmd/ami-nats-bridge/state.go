package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

type stateCmd struct {
	natsFlags
	outputFlag
	Server  string `arg:"" optional:"" help:"The server; all if not given."`
	Kind    string `arg:"" optional:"" help:"What of it, such as channel, member or caller; all if not given."`
	Watch   bool   `help:"Go on with each change, until a signal."`
	Count   int    `help:"End after so many changes." placeholder:"N"`
	Purge   bool   `help:"Take out all of a server that is gone for good, with its callers' numbers."`
	Confirm string `placeholder:"SERVER" help:"The server once more, for --purge."`
}

const (
	// stateTimeout bounds reading what is up.
	stateTimeout = 30 * time.Second
	// purgedFor is how long the bucket tells that a purged key is gone.
	purgedFor = 10 * time.Minute
)

// Help is printed below the command's line in its own help.
func (*stateCmd) Help() string {
	return `The head of a server says how far what follows is to be believed: live, syncing or stale.

  ami-nats-bridge state pbx1
  ami-nats-bridge state pbx1 caller --watch
  ami-nats-bridge state pbx9 --purge --confirm pbx9`
}

// Run prints what is up, or purges it.
func (c *stateCmd) Run(std stdio) error {
	switch {
	case strings.ContainsAny(c.Server+c.Kind, ".*> \t"):
		return usage("wants the name of one server, and one kind, without dots or wildcards")
	case c.Kind != "" && c.Kind != "server" && !slices.Contains(presentKinds(), c.Kind):
		return usage("%s", unlisted("kind of what is up", c.Kind, presentKinds()))
	case c.Count < 0 || c.Count > 0 && !c.Watch:
		return usage("--count wants --watch, and 1 or more")
	case c.Purge && (c.Server == "" || c.Kind != "" || c.Watch || c.json()), c.Confirm != "" && !c.Purge:
		return usage("--purge takes one server and nothing else: ami-nats-bridge state SERVER --purge --confirm SERVER")
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	changes := stateChanges{quiet: top.WatchQuiet, again: bucketAgain, note: func(text string) { fmt.Fprintln(std.err, "ami-nats-bridge:", text) }}
	var opts []nats.Option
	if c.Watch {
		back := make(chan struct{}, 1)
		changes.back = back
		opts = outages(std.err, "what was shown may have changed since", back)
	}
	nc, err := c.connect("state", opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	changes.up = nc.IsConnected
	if changes.js, err = jetstream.NewWithAPIPrefix(nc.Conn, nc.api); err != nil {
		return err
	}
	if c.Purge {
		kv, err := openState(ctx, changes.js)
		if err != nil {
			return err
		}
		return c.purge(ctx, std, kv)
	}
	return c.show(ctx, std, &changes)
}

// openState opens the bucket.
func openState(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, streams.StateBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("there is no bucket %s: is a bridge running there, with BRIDGE_STATE=on?", streams.StateBucket)
	}
	if err != nil {
		return nil, fmt.Errorf("the bucket %s: %w", streams.StateBucket, err)
	}
	return kv, nil
}

// filter is the keys that are asked for.
func (c *stateCmd) filter() string {
	switch {
	case c.Server == "":
		return ">"
	case c.Kind == "":
		return c.Server + ".>"
	case c.Kind == "server":
		return c.Server + ".server"
	}
	return c.Server + "." + c.Kind + ".>"
}

// show prints what is up, and with --watch each change behind it.
func (c *stateCmd) show(ctx context.Context, std stdio, changes *stateChanges) error {
	changes.filters = []string{c.filter()}
	if c.Server != "" && c.Kind != "" && c.Kind != "server" {
		changes.filters = append(changes.filters, c.Server+".server") // how far it is to be believed
	}
	if err := changes.begin(ctx); err != nil {
		return err
	}
	defer changes.end()
	up, err := upNow(ctx, changes.watcher)
	if err != nil {
		return err
	}
	out := statePrinter{out: std.out, screen: std.screen(), json: c.json()}
	if err := out.all(up); err != nil {
		return err
	}
	if len(up) == 0 && !c.Watch {
		return c.nobody(ctx, changes.js)
	}
	if !c.Watch {
		return nil
	}
	changes.show = out.one
	changes.have(up)
	return changes.run(ctx, c.Count)
}

// nobody says that nothing is up at what was asked for, and which servers there are.
func (c *stateCmd) nobody(ctx context.Context, js jetstream.JetStream) error {
	text := "nothing is up there, and no bridge writes it"
	kv, err := openState(ctx, js)
	if err != nil {
		return &exitError{code: 1, text: text}
	}
	watcher, err := kv.WatchFiltered(ctx, []string{"*.server"}, jetstream.MetaOnly())
	if err != nil {
		return &exitError{code: 1, text: text}
	}
	up, err := upNow(ctx, watcher)
	_ = watcher.Stop() // what it had to say it has said
	var servers []string
	for _, e := range up {
		servers = append(servers, strings.TrimSuffix(e.Key(), ".server"))
	}
	if why := catalog.Unlike("server in "+streams.StateBucket, c.Server, servers); err == nil && c.Server != "" && len(servers) > 0 && why != "" {
		text += ": " + why
	}
	return &exitError{code: 1, text: text}
}

// presentKinds are the kinds of what is up.
func presentKinds() (all []string) {
	for k := range present.Kinds {
		all = append(all, k.String())
	}
	return all
}

// upNow returns what the bucket has, by key.
func upNow(ctx context.Context, watcher jetstream.KeyWatcher) (up []jetstream.KeyValueEntry, err error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	for {
		select {
		case e, open := <-watcher.Updates():
			if !open {
				return nil, errors.New("reading the bucket: the connection ended before all was told")
			}
			if e == nil {
				slices.SortFunc(up, func(a, b jetstream.KeyValueEntry) int { return strings.Compare(a.Key(), b.Key()) })
				return up, nil
			}
			if e.Operation() == jetstream.KeyValuePut {
				up = append(up, e)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("reading the bucket: %w", context.Cause(ctx))
		}
	}
}

// purge takes out all of a server that nobody writes.
func (c *stateCmd) purge(ctx context.Context, std stdio, kv jetstream.KeyValue) error {
	watcher, err := kv.WatchFiltered(ctx, []string{c.filter()}, jetstream.MetaOnly())
	if err != nil {
		return fmt.Errorf("watch the bucket: %w", err)
	}
	up, err := upNow(ctx, watcher)
	_ = watcher.Stop() // what it had to say it has said
	if err != nil {
		return err
	}
	for _, e := range up {
		if e.Key() == c.Server+".server" {
			return &exitError{code: 1, text: fmt.Sprintf("a bridge writes %s: end it, or take the server from its BRIDGE_SERVERS, and wait until %s is gone", c.Server, e.Key())}
		}
	}
	if c.Confirm != c.Server {
		return usage("%d keys of %s would go for good: say so with --confirm %s", len(up), c.Server, c.Server)
	}
	for _, e := range up {
		if err := kv.Purge(ctx, e.Key(), jetstream.PurgeTTL(purgedFor)); err != nil {
			return fmt.Errorf("purge %.80q: %w", e.Key(), err)
		}
	}
	_, err = fmt.Fprintf(std.out, "%d keys of %s are gone\n", len(up), c.Server)
	return err
}

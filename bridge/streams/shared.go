package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// Terms are the subjects of the records of who leads a server, under prefix.
func Terms(prefix string) string { return prefix + ".terms.>" }

// Unshared returns why bridges cannot share servers by AMI_EVENTS, of which r is the
// report, on a nats-server of that version; nil if nothing is known that would keep them
// from it. terms is what Terms returns.
func (r *Report) Unshared(version, terms string) error {
	if !natsconn.FastIngestSince(version) {
		return fmt.Errorf("nats-server %s has no fast ingest: BRIDGE_HA=on wants 2.14 or later", version)
	}
	if r.unread != nil {
		return r.unread
	}
	for _, d := range r.Differences {
		switch {
		case d.Left == "": // it is changed when the bridge starts
		case d.Field == "subjects" && !natsconn.CoversAny(strings.Split(d.Have, ","), terms):
			return fmt.Errorf("stream %s has no subject %s, by which bridges agree who leads (%s): nats stream edit %s --subjects=%s,%s",
				r.Name, terms, d.Left, r.Name, d.Have, terms)
		case d.Field == "allow_batched":
			return fmt.Errorf("stream %s has no fast ingest, without which bridges cannot share servers (%s): nats stream edit %s --allow-fast", r.Name, d.Left, r.Name)
		case d.Field == "allow_direct":
			return fmt.Errorf("stream %s has no direct gets, by which a bridge that takes over reads what is stored (%s): nats stream edit %s --allow-direct", r.Name, d.Left, r.Name)
		}
	}
	return nil
}

// Unshared returns why bridges cannot share servers by AMI_EVENTS, as far as is known now.
func (k *Reconciler) Unshared() error {
	all := k.States()
	i := slices.IndexFunc(all, func(r Report) bool { return r.Name == EventStream })
	if i < 0 {
		return nil
	}
	if err := all[i].Unshared(k.conn.Get().ConnectedServerVersion(), Terms(k.cfg.SubjectPrefix)); err != nil {
		return err
	}
	if state, _ := k.State(EventStream); state.There() && !k.TakesBatches() {
		err := fmt.Errorf("stream %s has no fast ingest, without which bridges cannot share servers: each nats-server wants to be 2.14 or later", EventStream)
		if why := k.waits.Load(); why != nil {
			err = fmt.Errorf("%w: %w", err, *why)
		}
		return err
	}
	return nil
}

// mayRead returns why the bridge may not read AMI_EVENTS as it does to take a server over, page after page and
// the last on a subject, or nil. One that finds it out by then leads nothing, and others do not either.
func (k *Reconciler) mayRead(ctx context.Context) error {
	const pages = "DIRECT.GET." + EventStream
	return cmp.Or(k.mayAsk(ctx, pages), k.mayAsk(ctx, pages+"."+k.cfg.SubjectPrefix+".terms.any"))
}

// mayAsk returns why the bridge may not ask that of JetStream, or nil. It sends what JetStream
// cannot read, which changes nothing.
func (k *Reconciler) mayAsk(ctx context.Context, what string) error {
	_, err := question(ctx, k, what, func(ctx context.Context) (*nats.Msg, error) {
		return k.conn.Get().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+what, []byte("{"))
	})
	if errors.Is(err, natsconn.ErrDenied) {
		return err
	}
	return nil
}

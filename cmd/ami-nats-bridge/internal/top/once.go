package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Ask returns how all is now, without callers' numbers: by NATS or, if that does not answer or no bridge says
// anything there, by the bridge itself. It returns an error if neither answers.
func Ask(ctx context.Context, opts ReaderOptions) (*view.Snapshot, Source, error) {
	src := Source{NATS: opts.NATS, HTTP: opts.HTTP}
	var snap *view.Snapshot
	var natsErr error
	if opts.Connect != nil {
		snap, src.Unread, natsErr = askNATS(ctx, opts)
		if natsErr != nil {
			src.NATSErr = reasonOf(natsErr)
		}
		if snap != nil && snap.Totals.Unknown < snap.Totals.Servers {
			return snap, src, nil
		}
	}
	if opts.HTTP == "" {
		return snap, src, natsErr
	}
	own := newHTTPSource(opts.HTTP)
	src.HTTP = own.shown
	answer, err := own.get(ctx)
	switch {
	case err == nil:
		src.ByHTTP, src.Unread = true, ""
		return answer, src, nil
	case snap != nil:
		return snap, src, nil // NATS answers, and knows of no bridge that lives
	case natsErr != nil:
		return nil, src, fmt.Errorf("%w; %w", natsErr, err)
	}
	return nil, src, err
}

// askNATS reads the last values. If they are old, or not of all, it listens for one interval, in which each bridge says
// all: it may be that clocks differ, or that nothing is kept. unread says why they could not be read, nor after that.
func askNATS(ctx context.Context, opts ReaderOptions) (snap *view.Snapshot, unread string, err error) {
	denied := make(chan error, 1)
	nc, err := opts.Connect(nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			select {
			case denied <- err:
			default:
			}
		}
	}))
	if err != nil {
		return nil, "", err
	}
	defer nc.Close()
	js, err := opts.jetStream(nc)
	if err != nil {
		return nil, "", err
	}
	r := NewReader(opts)
	status, err := listen(nc, opts.Prefix)
	if err != nil {
		return nil, "", err
	}
	r.load(ctx, js)
	r.loadState(ctx, js)
	snap = r.model.Snapshot(time.Now(), view.NumbersNone)
	listening, cancel := context.WithTimeout(ctx, opts.Interval+time.Second)
	defer cancel()
	for !r.kept || !isWhole(snap) {
		select {
		case <-listening.Done():
			if ctx.Err() != nil {
				return nil, "", ctx.Err()
			}
			if r.unread != "" { // JetStream may have had no leader
				r.load(ctx, js)
				snap = r.model.Snapshot(time.Now(), view.NumbersNone)
			}
			return snap, r.unread, nil
		case err := <-denied:
			if snap.Totals.Servers == 0 {
				return nil, "", err // who may not read sees nothing
			}
		case m := <-status.live:
			r.take(m.Subject, m.Data, time.Now())
			r.model.Tick(time.Now())
			snap = r.model.Snapshot(time.Now(), view.NumbersNone)
		}
	}
	return snap, "", nil
}

// isWhole reports whether snap has a bridge that lives, and how each server is.
func isWhole(snap *view.Snapshot) bool {
	lives := slices.ContainsFunc(snap.Bridges, func(b view.Bridge) bool { return b.Live })
	return lives && snap.Totals.Servers > 0 && snap.Totals.Unknown == 0
}

// loadState reads what AMI_STATE holds now, if it is there.
func (r *Reader) loadState(ctx context.Context, js jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	state := newStateWatch(js)
	state.start(ctx, time.Now())
	defer state.stop()
	for state.watcher != nil && !state.begun {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-state.updates():
			if !ok {
				return
			}
			r.takeState(state, e)
		}
	}
}

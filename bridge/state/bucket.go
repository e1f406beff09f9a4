package state

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// subjectPrefix is that of the bucket's keys (NATS ADR-8).
	subjectPrefix = "$KV." + streams.StateBucket + "."
	// questionTimeout bounds one question to the bucket, listTimeout that for keys.
	questionTimeout = 5 * time.Second
	listTimeout     = 30 * time.Second
)

// bucket is the bucket as it is asked, not as the writer writes it.
type bucket struct {
	conn   *natsconn.Conn
	stored func(error) // see Options

	mu     sync.Mutex // protects the following
	on     *natsconn.Link
	stream jetstream.Stream
	kv     jetstream.KeyValue
}

// open returns the bucket on the link that there is now.
func (b *bucket) open(ctx context.Context) (jetstream.Stream, jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.conn.Get()
	if b.on == l {
		return b.stream, b.kv, nil
	}
	stream, err := l.JS.Stream(ctx, streams.StateStream)
	if err != nil {
		return nil, nil, err
	}
	kv, err := l.JS.KeyValue(ctx, streams.StateBucket)
	if err != nil {
		return nil, nil, err
	}
	b.on, b.stream, b.kv = l, stream, kv
	return stream, kv, nil
}

// forget has the bucket be opened anew: it may allow no direct gets any more, by which it was
// read so far.
func (b *bucket) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = nil
}

// entry is the last message of a server's key.
type entry struct {
	revision uint64 // 0: there never was one
	gone     bool   // it is no bridge's value: a purge, the mark of one that has expired, or what somebody wrote by hand
	node     string // that wrote it
	value    []byte
	ttl      time.Duration
}

// last returns what the bucket has under key.
func (b *bucket) last(ctx context.Context, key string) (entry, error) {
	ctx, cancel := b.conn.Question(ctx, questionTimeout)
	defer cancel()
	stream, _, err := b.open(ctx)
	if err != nil {
		return entry{}, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subjectPrefix+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return entry{gone: true}, nil
	}
	if err != nil {
		b.forget()
		return entry{}, err
	}
	e := entry{revision: msg.Sequence}
	if msg.Header.Get("KV-Operation") != "" || msg.Header.Get(jetstream.MarkerReasonHeader) != "" {
		e.gone = true
		return e, nil
	}
	var value struct{ Node string }
	e.ttl, _ = time.ParseDuration(msg.Header.Get(jetstream.MsgTTLHeader))
	if json.Unmarshal(msg.Data, &value) != nil || e.ttl == 0 {
		e.gone = true // no bridge has written that
		return e, nil
	}
	e.node, e.value = value.Node, msg.Data
	return e, nil
}

// put stores the value of a key that has not changed since its revision after, for ttl.
func (b *bucket) put(ctx context.Context, key string, value []byte, ttl time.Duration, after uint64) (revision uint64, err error) {
	ctx, cancel := b.conn.Question(ctx, questionTimeout)
	defer cancel()
	msg := nats.NewMsg(subjectPrefix + key)
	msg.Data = value
	msg.Header.Set(jetstream.ExpectedStreamHeader, streams.StateStream)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	msg.Header.Set(jetstream.MsgTTLHeader, ttl.String())
	ack, err := b.conn.Get().JS.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	if !natsconn.Overtaken(err) {
		b.stored(err)
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// keys tells found what the bucket has last of each key of server's objects: a value, or the
// mark of its end. It looks at most values at the most, and reports whether these are all.
func (b *bucket) keys(ctx context.Context, server string, most int, found func(key string, revision uint64, ended bool)) (all bool, err error) {
	ctx, cancel := b.conn.Question(ctx, listTimeout)
	defer cancel()
	_, kv, err := b.open(ctx)
	if err != nil {
		return false, err
	}
	watcher, err := kv.WatchFiltered(ctx, []string{server + ".>"}, jetstream.MetaOnly())
	if err != nil {
		return false, err
	}
	defer func() { _ = watcher.Stop() }() // it is read no further either way
	for {
		select {
		case e, open := <-watcher.Updates():
			if !open {
				return false, errWatchEnded
			}
			if e == nil {
				return true, ctx.Err()
			}
			ended := e.Operation() != jetstream.KeyValuePut
			if !ended {
				most--
			}
			if most < 0 {
				return false, nil
			}
			if e.Key() != server+serverSuffix {
				found(e.Key(), e.Revision(), ended)
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// errWatchEnded is a bucket that went, or the connection, while its keys were read.
var errWatchEnded = errors.New("the watch ended before all was told")

// serverSuffix is the end of the key of a server itself.
const serverSuffix = ".server"

package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontext"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// QueueBytes bounds the records that wait to be stored. When it is full
	// a record is lost, counted and logged; with AUDIT=strict no Action goes
	// out meanwhile.
	QueueBytes = 16 << 20
	// intentTimeout is how long the record of an intent may take.
	intentTimeout = 5 * time.Second
)

// Recorder records what was asked for and what became of it. Whoever records never
// waits: the records are the journal's from then on.
type Recorder struct {
	mode       config.Audit
	prefix     string // of the subjects
	node, run  string // run names this process
	concealer  concealer
	journal    Queue
	log        *zap.Logger
	requests   atomic.Uint64
	stored     atomic.Uint64
	lost       atomic.Uint64
	loggedLost clock.Sum // of those lost
	refusals   refusals

	mu      sync.Mutex // held while a record is linked and queued, so that both orders are one
	records uint64
	chains  map[string]*chain // by the name in the subject
	behind  bool              // the ends of some are not known

	// Of the goroutine that looks at the streams.
	lostEnds bool // it was told that they cannot be read
	warned   bool // that records are published at most once
}

// chain links the records of one server, or of an endpoint for several, so that
// one that is changed or missing shows.
type chain struct {
	seq  uint64
	prev string // SHA-256 of the record before, in hex, or what stands for the first
	lost uint64 // records since then that did not fit into the queue
}

// What stands in place of a hash.
const (
	chainGenesis = "genesis" // no record is stored
	chainUnknown = "unknown" // the last one stored could not be read
)

// Queue is where records wait to be stored: a journal, of QueueBytes.
type Queue interface {
	Write(journal.Entry) error
	SetUnacknowledged(on bool)
	IsUnacknowledged() bool
}

// New returns the audit of what is asked for at the endpoints that Open names, whose
// records q stores. run names this process.
func New(cfg *config.Config, run string, q Queue, log *zap.Logger) *Recorder {
	log = log.Named("audit")
	d := &Recorder{
		mode: cfg.Audit, prefix: cfg.SubjectPrefix + ".audit.", node: cfg.Node,
		run:       run,
		concealer: newConcealer(cfg.Secrets()),
		journal:   q, log: log,
		chains:   make(map[string]*chain),
		refusals: refusals{of: make(map[refusalKey]*refused)},
	}
	// What nobody may store is worth publishing.
	d.journal.SetUnacknowledged(cfg.Delivery == config.DeliverCore && cfg.Audit == config.AuditOn)
	return d
}

// Open has records of what is asked for at endpoints go on from the last ones that are
// stored. Until these are known they follow nothing. It is called before the first such
// record, from any goroutine. The chains of endpoints that there are no more stay, for
// when these come back.
func (d *Recorder) Open(endpoints []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range endpoints {
		d.chain(name)
	}
}

// chain finds or makes the chain of name, which may be that of a server that only other
// bridges have: all are asked for it. It needs mu.
func (d *Recorder) chain(name string) *chain {
	c := d.chains[name]
	if c == nil {
		c = &chain{prev: chainUnknown}
		d.chains[name], d.behind = c, true
	}
	return c
}

// ends returns those chains whose ends are to be found, all if those of some are.
func (d *Recorder) ends() map[string]*chain {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.behind {
		return nil
	}
	return maps.Clone(d.chains)
}

// Seen is told how the stream stands, by the goroutine that looks at it. Once it
// is there, and answers before ctx ends, the chains are to go on from its records.
func (d *Recorder) Seen(ctx context.Context, js jetstream.JetStream, state streams.State) {
	chains := d.ends()
	switch {
	case d.off() || len(chains) == 0:
	case state.There(), state == streams.Off:
		if err := d.follow(ctx, js, chains); err != nil {
			if !d.lostEnds {
				d.lostEnds = true
				d.log.Warn("the last audit record cannot be read: the new ones do not follow it", zap.Error(err))
			}
			return
		}
		d.lostEnds = false
		d.journal.SetUnacknowledged(false)
	case state == streams.NoJetStream && d.journal.IsUnacknowledged() && !d.warned:
		d.warned = true
		d.log.Warn("no JetStream: audit records are published at most once")
	}
}

// follow finds the end of each of chains in the stream, for the records that have
// none before them in this run.
func (d *Recorder) follow(ctx context.Context, js jetstream.JetStream, chains map[string]*chain) error {
	stream, err := js.Stream(ctx, streams.AuditStream)
	if err != nil {
		return err
	}
	for name, c := range chains {
		prev := chainGenesis
		last, err := stream.GetLastMsgForSubject(ctx, d.prefix+name+".>")
		switch {
		case err == nil:
			prev = digest(last.Data)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return err
		}
		d.mu.Lock()
		if c.seq == 0 && c.lost == 0 {
			c.prev = prev
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.behind = len(d.chains) > len(chains)
	return nil
}

// Learn keeps secrets out of what is recorded from now on. It may be called from any
// goroutine.
func (d *Recorder) Learn(secrets ...string) { d.concealer.Add(secrets...) }

// Counts returns how many records were stored, and how many were lost, since the
// start. It may be called from any goroutine.
func (d *Recorder) Counts() (stored, lost uint64) { return d.stored.Load(), d.lost.Load() }

// EndSums has the next LogLost log all that no line has had yet.
func (d *Recorder) EndSums() { d.loggedLost.End() }

// off reports whether nothing is recorded.
func (d *Recorder) off() bool { return d.mode == config.AuditOff }

// Strict reports whether an Action goes out only behind its intent.
func (d *Recorder) Strict() bool { return d.mode == config.AuditStrict }

// Intend records that a is about to be given to its server, and calls then
// once: with nil when the record is stored, otherwise with why it is not known
// to be. It calls then at once, or later on another goroutine.
func (d *Recorder) Intend(a *Request, then func(error)) {
	var over atomic.Bool
	end := func(err error) {
		if !over.Swap(true) {
			then(err)
		}
	}
	r, wait := d.begin(a), min(intentTimeout, time.Until(a.Deadline))
	r.Phase = "intent"
	timer := time.AfterFunc(wait, func() { end(fmt.Errorf("JetStream did not acknowledge it within %v", wait)) })
	err := d.write(r.Server, a.Action, r.text(), false, func(err error) {
		timer.Stop()
		end(err)
	})
	if err != nil {
		timer.Stop()
		end(err)
	}
}

// write links a record of server, as JSON without the closing brace, to the one before, and
// queues it. done, if not nil, is called with nil once it is stored, or with why it was not,
// unless write returns an error.
func (d *Recorder) write(server, action string, text []byte, must bool, done func(error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.chain(server)
	d.records++
	msg := nats.NewMsg(d.prefix + server + "." + subject.Token([]byte(d.concealer.Value(action))))
	msg.Data = c.link(text, d.run)
	msg.Header.Set(jetstream.MsgIDHeader, d.node+"."+d.run+"."+strconv.FormatUint(d.records, 10))
	msg.Header.Set(jetstream.ExpectedStreamHeader, streams.AuditStream)
	err := d.journal.Write(journal.Entry{Msg: msg, Must: must, Later: done == nil, Done: func(_ *jetstream.PubAck, err error) {
		if err != nil {
			d.lost.Add(1)
		} else {
			d.stored.Add(1)
		}
		if done != nil {
			done(err)
		}
	}})
	if err != nil {
		c.lost++
		d.lost.Add(1)
		return err
	}
	c.seq, c.prev, c.lost = c.seq+1, digest(msg.Data), 0
	return nil
}

// link completes a record's text with its place in the chain.
func (c *chain) link(text []byte, run string) []byte {
	text = jsontext.AppendMember(text, "run", run)
	text = strconv.AppendUint(append(text, `,"seq":`...), c.seq+1, 10)
	text = jsontext.AppendMember(text, "prev", c.prev)
	if c.lost > 0 {
		text = strconv.AppendUint(append(text, `,"lost":`...), c.lost, 10)
	}
	return append(text, '}')
}

func digest(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// LogLost logs what was lost. It is for the status goroutine.
func (d *Recorder) LogLost() {
	if n, _ := d.loggedLost.Due(d.lost.Load(), time.Now()); n > 0 {
		d.log.Error("audit records lost", zap.Uint64("count", n))
	}
}

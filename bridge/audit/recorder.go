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

	mu      sync.Mutex // held while a record is queued, so that what was lost is told behind what was queued before
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
	seq  uint64 // of the last record that was made
	prev string // its SHA-256, in hex, or what stands for the first
	lost uint64 // records that did not fit into the queue since the last one that did
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
	wait := min(intentTimeout, time.Until(a.Deadline))
	timer := time.AfterFunc(wait, func() { end(fmt.Errorf("JetStream did not acknowledge it within %v", wait)) })
	r := d.begin(a)
	r.Phase = "intent"
	err := d.queue(r, false, func(err error) {
		timer.Stop()
		end(err)
	})
	if err != nil {
		timer.Stop()
		end(err)
	}
}

// queue hands r to the journal. done, if not nil, is called with nil once it is stored, or
// with why it was not, unless queue returns an error.
func (d *Recorder) queue(r *record, must bool, done func(error)) error {
	return d.write(r.Server, journal.Entry{Size: r.size(), Must: must}, func() (string, []byte) { return d.textOf(r) }, done)
}

// textOf makes the text of r, and says which Action it is of, without secrets. A fault of that hides
// all texts of others in it: the record is there, and the process goes on.
func (d *Recorder) textOf(r *record) (action string, text []byte) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("audit record panicked", zap.String("cause", fmt.Sprint(p)), zap.Stack("stack"))
			r.hide()
			action, text = r.Action, r.text()
		}
	}()
	r.conceal(d.concealer)
	return r.Action, r.text()
}

// write queues a record of server. text makes it when its turn to be stored comes, as JSON
// without the closing brace, and says which Action it is of: no caller waits for that, neither
// the one whose Action it is of nor the next.
func (d *Recorder) write(server string, e journal.Entry, text func() (action string, text []byte), done func(error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.chain(server)
	lost := c.lost
	e.Later = done == nil
	e.Make = func() *nats.Msg {
		action, text := text()
		return d.next(c, server, action, text, lost)
	}
	e.Done = func(_ *jetstream.PubAck, err error) {
		if err != nil {
			d.lost.Add(1)
		} else {
			d.stored.Add(1)
		}
		if done != nil {
			done(err)
		}
	}
	if err := d.journal.Write(e); err != nil {
		c.lost++
		d.lost.Add(1)
		return err
	}
	c.lost = 0
	return nil
}

// next makes the message of a record, which is the next of c, behind so many that were lost.
func (d *Recorder) next(c *chain, server, action string, text []byte, lost uint64) *nats.Msg {
	msg := nats.NewMsg(d.prefix + server + "." + subject.Token([]byte(action)))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records++
	msg.Data = c.link(text, d.run, lost)
	msg.Header.Set(jetstream.MsgIDHeader, d.node+"."+d.run+"."+strconv.FormatUint(d.records, 10))
	msg.Header.Set(jetstream.ExpectedStreamHeader, streams.AuditStream)
	c.seq, c.prev = c.seq+1, digest(msg.Data)
	return msg
}

// link completes a record's text with its place in the chain.
func (c *chain) link(text []byte, run string, lost uint64) []byte {
	text = jsontext.AppendMember(text, "run", run)
	text = strconv.AppendUint(append(text, `,"seq":`...), c.seq+1, 10)
	text = jsontext.AppendMember(text, "prev", c.prev)
	if lost > 0 {
		text = strconv.AppendUint(append(text, `,"lost":`...), lost, 10)
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

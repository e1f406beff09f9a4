package reply

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

const (
	// streamBytes bounds the parts of one server's streams that wait to be
	// published. What does not fit ends its stream as too large: NATS takes
	// less than Asterisk says, and the reader must not wait.
	streamBytes = 64 << 20
	// watchEach is how often a part asks whether somebody still listens.
	watchEach = 64
)

// Stream is a reply of many messages (Ami-Reply: stream): each event of a list
// and each block of output as it comes, then the reply with their number.
type Stream struct {
	to      string
	server  string
	counts  *PartCounts // of all the server's streams
	replier *Sender
	watch   *NoResponderWatch
	mask    *Mask       // of the ask; of whoever delivers
	parts   int         // handed over; of whoever delivers
	id      string      // at probes, from the first part on
	unheard atomic.Bool // nobody listens
	spoilt  atomic.Bool // a part did not fit a message
}

// NewStream returns a reply of many messages to a caller, whose parts are masked by
// mask, count in counts and go out by replier. It asks by watch whether somebody
// listens.
func NewStream(to, server string, counts *PartCounts, replier *Sender, watch *NoResponderWatch, mask *Mask) *Stream {
	return &Stream{to: to, server: server, counts: counts, replier: replier, watch: watch, mask: mask}
}

// PartCounts counts the parts of all streams of one server.
type PartCounts struct {
	Waiting   atomic.Int64  // bytes of those that wait to be published
	Published atomic.Uint64 // handed to NATS
	Unheard   atomic.Uint64 // not, since nobody listens any more
	Lost      atomic.Uint64 // not taken by NATS; the reply says so if it can
}

// Take queues one part of the reply. It runs on an AMI reader and does not
// wait. False means that there is no room. If nobody listens any more the rest
// is only counted.
func (s *Stream) Take(p correlation.Part) bool {
	s.parts++
	if s.unheard.Load() {
		s.counts.Unheard.Add(1)
		return true
	}
	var body []byte
	var masked []string
	if p.Event == nil {
		body = append(append([]byte(`{"output":[`), p.Output...), ']', '}')
	} else {
		body, masked = s.mask.part(p.Event)
	}
	return s.queue(body, masked)
}

// queue queues the part that is the last so far.
func (s *Stream) queue(body []byte, masked []string) bool {
	if s.unheard.Load() {
		s.counts.Unheard.Add(1)
		return true
	}
	size := int64(len(body))
	if s.counts.Waiting.Add(size) > streamBytes {
		s.counts.Waiting.Add(-size)
		s.counts.Lost.Add(1)
		return false
	}
	answer := Message{To: s.to, Body: body, part: s.parts, masked: masked, Stream: s, Done: func() { s.counts.Waiting.Add(-size) }}
	if s.parts%watchEach == 1 {
		if s.id == "" {
			s.id = s.watch.add(s)
		}
		answer.watchInbox = s.watch.prefix + s.id
	}
	s.replier.Queue(answer)
	return true
}

// Relay queues a part that another bridge has made, of that number and with the names of
// headers that are hidden, as Take does. One for which there is no room, or that does not fit
// a message, spoils the reply behind it.
func (s *Stream) Relay(part int, body []byte, masked string) {
	s.parts = part
	var names []string
	if masked != "" {
		names = strings.Split(masked, ",")
	}
	if !s.queue(body, names) {
		s.spoilt.Store(true)
	}
}

// End forgets the stream. It is called when its reply is out.
func (s *Stream) End() { s.watch.remove(s.id) }

// NoResponderWatch finds out that nobody listens to a stream: the server answers a part that
// has a reply subject with 503 if its own subject has no subscriber. So a caller
// that went away costs no more than what is on the way.
type NoResponderWatch struct {
	prefix string

	mu   sync.Mutex // protects the following
	last uint64
	live map[string]*Stream
}

// NewNoResponderWatch subscribes on c to what the server says of parts.
func NewNoResponderWatch(c *natsconn.Conn) (*NoResponderWatch, error) {
	p := &NoResponderWatch{prefix: c.Inbox() + ".", live: make(map[string]*Stream)}
	_, err := c.Subscribe(p.prefix+"*", "", p.onNoResponders)
	return p, err
}

func (p *NoResponderWatch) add(s *Stream) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	id := strconv.FormatUint(p.last, 36)
	p.live[id] = s
	return id
}

func (p *NoResponderWatch) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, id)
}

func (p *NoResponderWatch) onNoResponders(m *nats.Msg) {
	if len(m.Data) > 0 || m.Header.Get("Status") != "503" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.live[strings.TrimPrefix(m.Subject, p.prefix)]; s != nil {
		s.unheard.Store(true)
	}
}

// Open returns how many streams have a part that asks.
func (p *NoResponderWatch) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

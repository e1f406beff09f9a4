package present

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Options are what a Present is made with.
type Options struct {
	// Server is the first token of its keys.
	Server string
	// Charset is that of the server's bytes.
	Charset frames.Charset
	// Keep are the kinds that it keeps. None are all but device, whose keys may be
	// many.
	Keep Set
	// NoClass is the class of events without which the session comes that tell of a kind; ""
	// if it has all of them. Such a kind has only what lists say, and is not called kept.
	NoClass [Kinds]string
	// Interval is the least time between two writes of a key.
	Interval time.Duration
	// MaxObjects and MaxBytes bound what it holds, tombstones included. When it is
	// full nothing begins and nothing grows: that is counted, and the kind is named
	// in the server's value until a list of it fits.
	MaxObjects int
	MaxBytes   int64
	// Dirty is called with the lock held when something is to be written where
	// nothing was. It must not block, nor call the Present. Nil: nobody is told.
	Dirty func()
}

// Present is what is up at one Asterisk. See the package's comment for who may call
// what.
type Present struct {
	opts  Options
	began time.Time
	seed  maphash.Seed

	mu       sync.Mutex // protects the following; held only for work in memory
	in       input
	now      time.Duration // since began, of the call that is being served
	events   uint64        // handled: n of the watermark rule
	runs     uint64        // begun
	open     []*Run        // not ended: one, of who asks for one at a time
	session  session
	index    [Kinds]map[string]*object
	lists    [Lists]held
	unfit    [Kinds]int           // how many are
	lacks    [Kinds]string        // the id without which events would begin one, in this session
	owned    map[string][]*object // by Uniqueid, see kind.owner
	waiting  map[string][]*object // callers of a queue
	ended    recent               // Uniqueids of this session
	unlisted recent               // contacts of this session
	entered  map[uint64]uint64    // channels that entered bridges, see noteEnter: by which event
	swapped  map[uint64]uint64    // channels whose place another took
	due      map[Ask]time.Duration
	soon     chain // ends
	later    chain
	graves   chain     // tombstones
	found    []*object // in the bucket before this process, and not held
	looks    uint64    // at the bucket, see Look
	objects  int
	bytes    int64
	counts   Counts
	scratch  packed
}

// held is what a Present holds of a List.
type held struct {
	objects []*object // those that are alive, in any order
	halves  []*object // begun by nothing yet, while a run is open
	window  uint64    // grows when a run is begun and none is open
	asked   bool      // one has ended in this session, either way
	synced  bool      // one was applied in this session
	why     string    // it is not kept; "" if it is
	full    bool      // something of it did not fit
}

// New returns a Present of a server that was never heard of.
func New(opts Options, now time.Time) *Present {
	p := &Present{
		opts: opts, began: now, seed: maphash.MakeSeed(),
		entered: map[uint64]uint64{}, swapped: map[uint64]uint64{},
		owned: map[string][]*object{}, waiting: map[string][]*object{}, due: map[Ask]time.Duration{},
		graves: chain{place: toBury},
	}
	if p.opts.Keep == 0 {
		p.opts.Keep = AllKinds &^ SetOf(Device)
	}
	p.in.charset = opts.Charset
	p.session.since, p.session.state = now, Stale
	return p
}

// enter locks p for a call at now. The monotonic clock decides.
func (p *Present) enter(now time.Time) {
	p.mu.Lock()
	p.now = now.Sub(p.began)
}

func (p *Present) hash(s []byte) uint64 { return maphash.Bytes(p.seed, s) }

// begin makes an object of what in says, or brings one back that has ended. A half
// one that a list begins keeps what events said of it.
func (p *Present) begin(k Kind, o *object, in *input, source string) *object {
	base, top := packed(nil), in.vals
	if o == nil {
		if o = p.add(k, in.idBuf, listOf(k, in.sip)); o == nil {
			return nil
		}
	} else if o.uncounted && !p.charge(o) {
		return nil
	} else if o.life == half && source == fromList {
		base, top = in.vals, o.vals
	}
	o.unlink(toBury)
	if o.links[toWrite].in == &p.soon {
		o.unlink(toWrite)
	}
	old := o.life
	o.life = alive
	if !p.setVals(o, base, top) {
		o.life = old
		p.forget(o)
		return nil
	}
	o.list = listOf(k, in.sip)
	o.since, o.until = in.since, in.until
	h := &p.lists[o.list]
	o.slot = len(h.objects)
	h.objects = append(h.objects, o)
	p.own(o)
	p.counts.Objects[k]++
	p.touched(o, in.at, source)
	if k == Caller {
		p.join(o, in.place, source)
	}
	return o
}

// add makes an object that is not alive yet, or returns nil if there is no room.
func (p *Present) add(k Kind, index []byte, l List) *object {
	o := &object{kind: k, list: l, index: string(index)}
	if !p.charge(o) {
		return nil
	}
	p.put(o)
	return o
}

// put has o be found. Most servers have nothing of most kinds.
func (p *Present) put(o *object) {
	if p.index[o.kind] == nil {
		p.index[o.kind] = make(map[string]*object)
	}
	p.index[o.kind][o.index] = o
}

// charge has o count, if there is room for it.
func (p *Present) charge(o *object) bool {
	if !p.room(o, 1, o.cost()) {
		return false
	}
	o.uncounted = false
	return true
}

// room takes room for so many more objects, and bytes, for the sake of o. Tombstones
// give way.
func (p *Present) room(o *object, more int, bytes int64) bool {
	for p.objects+more > p.opts.MaxObjects || p.bytes+bytes > p.opts.MaxBytes {
		if !p.exhume() {
			p.refuse(o.kind, o.list)
			return false
		}
	}
	p.objects += more
	p.bytes += bytes
	return true
}

// exhume gives up the oldest tombstone of which the bucket has nothing. It reports
// false if there is none among the oldest few.
func (p *Present) exhume() bool {
	o := p.graves.first
	for range 16 {
		if o == nil {
			return false
		}
		if !o.there && !o.inFlight {
			o.unlink(toBury)
			p.forget(o)
			return true
		}
		o = o.links[toBury].next
	}
	return false
}

// refuse counts what there is no room for.
func (p *Present) refuse(k Kind, l List) {
	p.counts.Refused[k]++
	p.lists[l].full = true
}

// change applies what in says to o, which is alive or half.
func (p *Present) change(o *object, in *input, source string) bool {
	since, until := o.since, o.until
	if in.since != 0 {
		since = point(o.since, in.since)
	}
	if in.until != 0 {
		until = point(o.until, in.until)
	}
	changed := o.vals.changesTo(in.vals)
	if !changed && since == o.since && until == o.until {
		return false
	}
	if changed && !p.setVals(o, o.vals, in.vals) {
		return false
	}
	o.since, o.until = since, until
	if o.life == alive {
		p.own(o)
		p.touched(o, in.at, source)
	}
	return true
}

// near is how far two tellings of one point in time may lie apart: lists tell whole
// seconds that have gone by, and take time to come.
const near = 10 * time.Second

// point returns the point held, or the other one if it is far from it.
func point(held, fields int64) int64 {
	if held != 0 && time.Duration(max(held, fields)-min(held, fields)) <= near {
		return held
	}
	return fields
}

// setVals makes o's fields those of base with top over them, if they fit.
func (p *Present) setVals(o *object, base, top packed) bool {
	p.scratch = overlay(p.scratch[:0], base, top, len(kinds[o.kind].fields))
	return p.store(o, p.scratch)
}

func (p *Present) store(o *object, vals packed) bool {
	if len(vals) <= cap(o.vals) {
		o.vals = append(o.vals[:0], vals...)
		return true
	}
	if !p.room(o, 0, int64(len(vals)-cap(o.vals))) {
		return false
	}
	o.vals = append(make(packed, 0, len(vals)), vals...)
	return true
}

// stamp notes that the event that is being handled told these fields of o. Which, is
// of use while a list of them is under way.
func (p *Present) stamp(o *object, fields uint32) {
	o.stamp = p.events
	if !p.isOpen(o.list) {
		return
	}
	h := &p.lists[o.list]
	if o.window != h.window {
		o.window, o.fields = h.window, 0
	}
	o.fields |= fields
}

// touched notes that o has changed.
func (p *Present) touched(o *object, at time.Time, source string) {
	o.at, o.source = at.UnixNano(), source
	p.mark(o)
}

// end ends o. What an event ended bears its stamp and leaves a tombstone.
func (p *Present) end(o *object, source string) {
	if o.life == alive {
		h := &p.lists[o.list]
		last := h.objects[len(h.objects)-1]
		h.objects[o.slot], last.slot = last, o.slot
		h.objects[len(h.objects)-1] = nil
		h.objects = h.objects[:len(h.objects)-1]
		p.counts.Objects[o.kind]--
		p.disown(o)
		if o.kind == Caller {
			p.leave(o, source)
		}
	}
	o.life = dead
	p.setUnfit(o, false)
	p.bytes -= int64(cap(o.vals))
	o.vals = nil
	o.unlink(toWrite)
	if source == fromEvent {
		o.stamp, o.ended = p.events, p.now
		o.unlink(toBury)
		p.graves.push(o)
	}
	p.mark(o)
	p.forget(o)
}

// forget drops o if nothing asks for it any more.
func (p *Present) forget(o *object) {
	if o.life != dead || o.there || o.inFlight || o.isBuried() {
		return
	}
	o.unlink(toWrite)
	if p.index[o.kind][o.index] != o {
		return
	}
	delete(p.index[o.kind], o.index)
	if !o.uncounted {
		p.objects--
		p.bytes -= o.cost()
	}
}

// own has o found by the Uniqueid that it depends on.
func (p *Present) own(o *object) {
	at := kinds[o.kind].owner
	if at == 0 {
		return
	}
	id, _ := o.vals.field(at)
	if string(id) == o.owner {
		return
	}
	p.disown(o)
	if o.owner = string(id); o.owner != "" {
		p.bytes += int64(len(o.owner))
		p.owned[o.owner] = append(p.owned[o.owner], o)
	}
}

func (p *Present) disown(o *object) {
	if o.owner == "" {
		return
	}
	drop(p.owned, o.owner, o)
	p.bytes -= int64(len(o.owner))
	o.owner = ""
}

// drop takes o out of those of key.
func drop(m map[string][]*object, key string, o *object) {
	all := m[key]
	if i := slices.Index(all, o); i >= 0 {
		all = slices.Delete(all, i, i+1)
	}
	if m[key] = all; len(all) == 0 {
		delete(m, key)
	}
}

package watch

import (
	"context"
	"hash/maphash"
	"iter"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

const (
	// queued bounds what has been told and not been looked at. When it is full the oldest
	// goes: how all stands the next look shows, a change in between is not in the list of
	// changes then.
	queued = 2048
	// fresh is for how long a picture is that of now.
	fresh = time.Second
	// freshNews is the same where something has been told since.
	freshNews = 100 * time.Millisecond
	// longest is the most time between two looks while nobody asks: a queue's past has
	// a point a minute.
	longest = 5 * time.Second
	// idleWalk is how often all objects are gone through while nobody asks.
	idleWalk = 30 * time.Second
	// idleShare is of how much of the time the looks take one part at most while nobody asks, and
	// idleLook how rare they are for that at the rarest. A look at a thousand servers takes
	// some 60 ms.
	idleShare = 500
	idleLook  = 30 * time.Second
)

// Options are what a Watch needs.
type Options struct {
	View view.Options
	// Look tells the model how all stands at now. It is called by whoever asks, by one
	// at a time.
	Look func(now time.Time, model *view.Model)
	// Objects yields what is up at each server, keys and values as the bucket AMI_STATE has
	// them; a value is good until the next. It may be nil.
	Objects func() iter.Seq2[string, []byte]
}

// Watch is the picture. All its methods may be called from any goroutine.
type Watch struct {
	look    func(time.Time, *view.Model)
	objects func() iter.Seq2[string, []byte]
	every   time.Duration

	newsMu sync.Mutex // protects the following; nothing is done while it is held
	news   []message

	mu     sync.Mutex // protects the following
	model  *view.Model
	looked time.Time
	took   time.Duration // by the last look
	walked time.Time     // over the objects
	known  map[string]known
	walks  uint64
	made   map[view.Numbers]*view.Snapshot
	seed   maphash.Seed
}

// known is an object as the model has it.
type known struct {
	value uint64 // its hash
	walk  uint64 // by which it was seen last
}

// message is one that the bridge has handed over to be published.
type message struct {
	subject string
	body    []byte
	at      time.Time
}

// New returns a Watch that has seen nothing yet.
func New(o Options) *Watch {
	every := longest
	if o.View.Interval > 0 {
		every = min(every, o.View.Interval)
	}
	return &Watch{look: o.Look, objects: o.Objects, every: every, known: make(map[string]known), seed: maphash.MakeSeed(), model: view.New(o.View), made: make(map[view.Numbers]*view.Snapshot)}
}

// Observe takes a message of a status subject. It does not wait, and keeps body.
func (w *Watch) Observe(subject string, body []byte) {
	m := message{subject, body, time.Now()}
	w.newsMu.Lock()
	defer w.newsMu.Unlock()
	if len(w.news) == queued {
		w.news = append(w.news[:0], w.news[queued/2:]...)
	}
	w.news = append(w.news, m)
}

func (w *Watch) hasNews() bool {
	w.newsMu.Lock()
	defer w.newsMu.Unlock()
	return len(w.news) > 0
}

// Snapshot returns how all is now. Nobody may change it: others have it too.
func (w *Watch) Snapshot(numbers view.Numbers) *view.Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.refresh(now, fresh)
	snap := w.made[numbers]
	if snap == nil {
		snap = w.model.Snapshot(now, numbers)
		w.made[numbers] = snap
	}
	return snap
}

// Calls returns the calls that are up at a server, and how many there are.
func (w *Watch) Calls(server string, numbers view.Numbers) ([]view.Call, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh(time.Now(), fresh)
	return w.model.Calls(server, numbers)
}

// FloorSums returns the floor of each server in numbers, as far as they are those of now. The
// objects are gone through for it, and how all else stands is not asked: of a thousand servers
// that would be half of what a scrape costs.
func (w *Watch) FloorSums() map[string]view.FloorSums {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.looked.IsZero() {
		w.refresh(now, fresh)
	}
	if w.objects != nil && now.Sub(w.walked) >= fresh {
		w.walk(now)
	}
	return w.model.FloorSums(now, w.looked)
}

// refresh has the model know what there is to know at now, unless it was asked just now; what
// is up at the servers, unless that is younger than objects.
func (w *Watch) refresh(now time.Time, objects time.Duration) {
	age := now.Sub(w.looked)
	if age < fresh && (age < freshNews || !w.hasNews()) {
		return
	}
	w.newsMu.Lock()
	news := w.news
	w.news = nil
	w.newsMu.Unlock()
	for _, m := range news {
		w.model.Status(m.subject, m.body, m.at)
	}
	w.look(now, w.model)
	if w.objects != nil && now.Sub(w.walked) >= objects {
		w.walk(now)
	}
	w.model.Tick(now)
	w.looked, w.took = now, time.Since(now)
	clear(w.made)
}

// walk has the model know what is up at the servers. It is told of what has changed
// alone: to read an object anew costs more than to see that it is the same.
func (w *Watch) walk(now time.Time) {
	w.walked = now
	w.walks++
	for key, value := range w.objects() {
		hash := maphash.Bytes(w.seed, value)
		before, there := w.known[key]
		if !there || before.value != hash {
			w.model.State(key, value, now)
		}
		w.known[key] = known{hash, w.walks}
	}
	for key, k := range w.known {
		if k.walk != w.walks {
			w.model.State(key, nil, now)
			delete(w.known, key)
		}
	}
}

// Run looks from time to time until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.idle()
		}
	}
}

// idle looks while nobody asks, unless it has taken much of the time.
func (w *Watch) idle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= min(idleShare*w.took, idleLook) {
		w.refresh(now, idleWalk)
	}
}

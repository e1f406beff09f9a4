package delivery

import (
	"slices"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// Source is a server whose events are published.
type Source struct {
	Name   string
	Outbox *outbox.Outbox
	Filter string // the subject, with wildcards, of its events in the stream
	// TellGap hears of each Gap that is put into the stream, on the Publisher's
	// goroutine. It must not wait.
	TellGap func(outbox.Gap)
	// Lead is what its events are sent behind where several bridges share it, else nil.
	Lead *Lead

	number int // the scheduler's, and its place in all that the Publisher has by number
	ready  func(number int)
	uri    string // that CloudEvents name it by
}

// Ready says that the outbox has something to send. It may be called from any goroutine
// and does not wait.
func (s *Source) Ready() { s.ready(s.number) }

// Add joins s to the sources, from the next turn on, and returns it. It may be called
// from any goroutine, also while Run runs.
func (p *Publisher) Add(s Source) *Source {
	p.changing.Lock()
	defer p.changing.Unlock()
	s.ready, s.uri = p.scheduler.Ready, sourceURI(s.Name)
	all := slices.Clone(p.all())
	if n := len(p.free); n > 0 {
		s.number, p.free = p.free[n-1], p.free[:n-1]
		all[s.number] = &s
	} else {
		s.number = p.scheduler.Add()
		all = append(all, &s)
	}
	p.window.place(s.number, s.Outbox)
	p.sources.Store(&all)
	return &s
}

// Remove takes s from the sources, once nothing of it is left. Its number goes to the
// next that is added. It may be called from any goroutine; nobody says that s is ready any
// more.
func (p *Publisher) Remove(s *Source) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.leaving = append(p.leaving, s)
	p.departures.Store(true)
}

// release gives up the numbers of those that leave, as far as nothing of them is under
// way. It is for the Publisher's goroutine.
func (p *Publisher) release() {
	if !p.departures.Load() {
		return
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	p.leaving = slices.DeleteFunc(p.leaving, func(s *Source) bool {
		idle := !slices.Contains(p.failing, s.number) && s.Outbox.Account().Left == 0 && p.window.idle(s.number)
		if idle {
			p.free = append(p.free, s.number)
			if p.lead != nil {
				*p.lead.batchOf(s.number) = 0
			}
		}
		return idle
	})
	p.departures.Store(len(p.leaving) > 0)
}

// all are the sources by their numbers, those that have left and whose number nobody has
// yet among them. It is not changed once made: Add puts another in its place.
func (p *Publisher) all() []*Source { return *p.sources.Load() }

func (p *Publisher) source(number int) *Source { return p.all()[number] }

// retry is that of the source with that number. It is for the Publisher's goroutine, until
// the next retry.
func (p *Publisher) retry(number int) *retry {
	if missing := number + 1 - len(p.retries); missing > 0 {
		p.retries = append(p.retries, make([]retry, missing)...)
	}
	return &p.retries[number]
}

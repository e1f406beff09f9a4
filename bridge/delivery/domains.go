package delivery

import "sync/atomic"

// domains notes whether a second stream called as that of events stores them, in another JetStream domain: where
// nats-servers are linked as leaf nodes in one account, each may have one, and every event reaches both. Whichever
// answers first is taken for the stream. Its methods may be called from any goroutine.
type domains struct {
	home  atomic.Pointer[string] // in which the streams are looked at; nil: not known
	other atomic.Pointer[string] // nil: none
}

// note takes in that the stream of domain has stored an event.
func (d *domains) note(domain []byte) {
	if home := d.home.Load(); home != nil && *home != string(domain) {
		other := string(domain)
		d.other.Store(&other)
	}
}

// noteAnswer takes in an answer of which nothing else is wanted, such as the second one to an event.
func (d *domains) noteAnswer(body []byte) {
	if a, ok := parseAnswer(body); ok && a.stored() {
		d.note(a.domain)
	}
}

// tellDomain has the streams know of another one that stores events, if there is one.
func (p *Publisher) tellDomain() {
	p.window.domains.home.Store(p.streams.Domain())
	if other := p.window.domains.other.Swap(nil); other != nil {
		p.streams.StoredIn(*other)
	}
}

package actions

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// Refusals are the requests that were not given to Asterisk, by kind, those that there
// were, and the last of them. The audit has a record of each, or counts it in one.
type Refusals struct {
	Kinds map[string]uint64
	Last  *Refusal // nil: there was none
}

// Refusal is one of them. Action is as Asterisk spells it, or [name.UnknownAction]: nothing of
// a caller's own text is in it.
type Refusal struct {
	At           time.Time
	Action, Kind string
}

// refusals counts them. Its methods may be called from any goroutine and do not lock.
type refusals struct {
	kinds [len(reply.Kinds)]atomic.Uint64
	last  atomic.Pointer[Refusal]
}

func (r *refusals) add(action string, fail *reply.Error, now time.Time) {
	one := Refusal{At: now, Action: name.UnknownAction, Kind: string(fail.Kind)}
	if catalog.Known(action) {
		one.Action = catalog.Canonical(action)
	}
	if i := slices.Index(reply.Kinds[:], fail.Kind); i >= 0 {
		r.kinds[i].Add(1)
	}
	r.last.Store(&one)
}

func (r *refusals) all() Refusals {
	all := Refusals{Kinds: make(map[string]uint64), Last: r.last.Load()}
	for i, kind := range reply.Kinds {
		if n := r.kinds[i].Load(); n > 0 {
			all.Kinds[string(kind)] = n
		}
	}
	return all
}

// Refused returns the requests for the server that were refused, whatever endpoint they
// came by.
func (t *Target) Refused() Refusals { return t.refused.all() }

// Refused returns the requests at any, all and groups that were refused before a server had
// them.
func (s *Service) Refused() Refusals { return s.shared.refused.all() }

// countRefused notes that a was refused: at its server or, if it has none, for all.
func (a *actionRequest) countRefused(fail *reply.Error, now time.Time) {
	switch {
	case a.server != nil && !a.away:
		a.server.refused.add(a.action.String(), fail, now)
	case a.server == nil && a.handed == nil:
		a.endpoint.shared.refused.add(a.action.String(), fail, now)
	}
}

package replay

import (
	"context"
	"errors"
	"slices"
)

// Unmatched is which patterns of a selection match nothing that the stream
// holds, and what it does hold, as far as NATS lists it.
type Unmatched struct {
	Servers, Names           []string // patterns
	KnownServers, KnownNames []string
}

// common are names of which hardly any server has none. The subjects of one name
// are few where those of all are more than NATS lists.
var common = map[string][]string{"events": {"Gap", "FullyBooted", "Hangup"}, "audit": {"_unknown", "Ping", "Originate"}}

// Unmatched asks the stream for its subjects, whatever their time.
func (s *Source) Unmatched(ctx context.Context, sel *Selection) (Unmatched, error) {
	all := Selection{Prefix: sel.Prefix, Kind: sel.Kind}
	subjects, complete, err := s.subjects(ctx, all.Wide())
	if err != nil {
		return Unmatched{}, err
	}
	var u Unmatched
	for subject := range subjects {
		u.know(all.parts(subject))
	}
	for _, name := range common[sel.Kind] {
		if complete {
			break
		}
		some, _, err := s.subjects(ctx, all.subject("*", name))
		if err != nil {
			return u, err
		}
		for subject := range some {
			u.know(all.parts(subject))
		}
	}
	slices.Sort(u.KnownServers)
	slices.Sort(u.KnownNames)
	if u.Servers, err = s.unmatched(ctx, sel.Servers, u.KnownServers, complete, func(p string) string { return all.subject(p, "*") }); err != nil {
		return u, err
	}
	u.Names, err = s.unmatched(ctx, sel.Names, u.KnownNames, complete, func(p string) string { return all.subject("*", p) })
	return u, err
}

func (u *Unmatched) know(server, name string) {
	if !slices.Contains(u.KnownServers, server) {
		u.KnownServers = append(u.KnownServers, server)
	}
	if !slices.Contains(u.KnownNames, name) {
		u.KnownNames = append(u.KnownNames, name)
	}
}

// unmatched are the patterns that match none of known. If that is not complete,
// what is asked for by name is looked up; what has wildcards counts as matched.
func (s *Source) unmatched(ctx context.Context, patterns, known []string, complete bool, subject func(string) string) (none []string, err error) {
	for _, p := range patterns {
		switch {
		case slices.ContainsFunc(known, func(name string) bool { return anyMatch([]string{p}, name) }):
		case complete:
			none = append(none, p)
		case exactly([]string{p}):
			if _, err := s.last(ctx, subject(p)); errors.Is(err, errNone) {
				none = append(none, p)
			} else if err != nil {
				return none, err
			}
		}
	}
	return none, nil
}

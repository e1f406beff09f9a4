package replay

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Selection says which messages are meant.
type Selection struct {
	Prefix  string // of all subjects of the bridge
	Kind    string // events or audit
	Servers []string
	// Names are of events or Actions. Like Servers they are patterns as
	// path.Match has them, or none for all.
	Names []string
	// From and To bound when the bridge read an event or made a record: from
	// From on, and before To. Zero: unbounded.
	From, To time.Time
}

const (
	// maxFilters is how many exact subjects are asked for. Beyond that all are
	// read, and those that do not match are left out here.
	maxFilters = 32
	// clockSlack is how far the clocks of the bridge and of NATS may differ.
	clockSlack = time.Minute
)

// Check reports what is no pattern, or could be in no subject.
func (s *Selection) Check() error {
	for _, pattern := range slices.Concat(s.Servers, s.Names) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || strings.ContainsAny(pattern, ".> \t\r\n") {
			return fmt.Errorf("%.80q is not a pattern of names", pattern)
		}
	}
	return nil
}

// plan is how a Selection is read.
type plan struct {
	filters []string
	match   func(subject string) bool // nil: all that the filters let through
	// servers has the last sequence of each server; nil if it is not known.
	servers map[string]uint64
}

// plan asks the stream for its subjects where it has to.
func (s *Selection) plan(ctx context.Context, source *Source) (plan, error) {
	wide := s.Wide()
	exact := exactly(s.Servers) && exactly(s.Names)
	p := plan{filters: []string{wide}}
	if !exact || len(s.Servers)*len(s.Names) > maxFilters {
		p.match = s.Matches
	} else {
		p.filters = s.product()
	}
	if exact && s.To.IsZero() {
		return p, nil
	}
	subjects, all, err := source.subjects(ctx, wide)
	if err != nil || !all {
		return p, err
	}
	maps.DeleteFunc(subjects, func(subject string, _ uint64) bool { return !s.Matches(subject) })
	p.servers = map[string]uint64{}
	for subject, last := range subjects {
		server, _ := s.parts(subject)
		p.servers[server] = max(p.servers[server], last)
	}
	if !exact && len(subjects) <= maxFilters {
		p.filters, p.match = slices.Sorted(maps.Keys(subjects)), nil
	}
	return p, nil
}

// Wide is the narrowest subject, with wildcards, on which all that is selected is.
func (s *Selection) Wide() string { return s.subject(only(s.Servers), only(s.Names)) }

func (s *Selection) subject(server, name string) string {
	return s.Prefix + "." + s.Kind + "." + server + "." + name
}

// parts splits a subject.
func (s *Selection) parts(subject string) (server, name string) {
	server, name, _ = strings.Cut(strings.TrimPrefix(subject, s.Prefix+"."+s.Kind+"."), ".")
	return server, name
}

// product is a filter for each server and name.
func (s *Selection) product() (filters []string) {
	servers, names := s.Servers, s.Names
	if len(servers) == 0 || slices.Contains(servers, "*") {
		servers = []string{"*"}
	}
	if len(names) == 0 || slices.Contains(names, "*") {
		names = []string{"*"}
	}
	for _, server := range servers {
		for _, name := range names {
			if filter := s.subject(server, name); !slices.Contains(filters, filter) {
				filters = append(filters, filter)
			}
		}
	}
	return filters
}

// Matches reports whether what is on subject, one that Wide covers, is selected by
// its server and name. It does not look at times.
func (s *Selection) Matches(subject string) bool {
	server, name := s.parts(subject)
	return anyMatch(s.Servers, server) && anyMatch(s.Names, name)
}

// anyMatch reports whether a pattern matches, or there is none. A slash is a
// character like others.
func anyMatch(patterns []string, name string) bool {
	plain := strings.NewReplacer("/", "\x00")
	for _, pattern := range patterns {
		if ok, err := path.Match(plain.Replace(pattern), plain.Replace(name)); ok && err == nil {
			return true
		}
	}
	return len(patterns) == 0
}

// only is the subject token for patterns: the one there is, or all.
func only(patterns []string) string {
	if len(patterns) == 1 && exactly(patterns) {
		return patterns[0]
	}
	return "*"
}

// exactly reports whether each pattern is a subject token as it is.
func exactly(patterns []string) bool {
	return !slices.ContainsFunc(patterns, func(p string) bool { return p != "*" && strings.ContainsAny(p, `*?[\`) })
}

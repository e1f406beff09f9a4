package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// seenClasses are the classes of events that have come. It is safe for
// concurrent use.
type seenClasses struct {
	mu  sync.Mutex // protects the following
	all []string
}

// add notes what an event says of itself.
func (s *seenClasses) add(f *frames.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for class := range strings.SplitSeq(strings.ToLower(string(f.Get("Privilege"))), ",") {
		if slices.Contains(amiconn.EventClasses(), class) && !slices.Contains(s.all, class) {
			s.all = append(s.all, class)
		}
	}
}

func (s *seenClasses) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// plainUser is a name that needs no quoting at Asterisk's prompt.
var plainUser = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$`)

// events compares the classes that are asked for with those that the user may
// read. AMI has no question for them: what a Login and the Action Events answer
// is the mask that was asked for (manager.c action_events). The prompt knows, so
// that it takes the class command in write=.
func (f *findings) events(ctx context.Context, link *amiconn.Link, cfg *amiconn.Config, mayCommand bool, seen *seenClasses) {
	if cfg.Events == amiconn.NoEvents {
		f.add("note", "%s=off: no event is asked for", cfg.Variable("EVENTS"))
		return
	}
	if mayCommand && plainUser.MatchString(cfg.Username) {
		if read, err := readClasses(ctx, link, cfg.Username); err == nil {
			f.compare(cfg, read)
			f.others(ctx, link, cfg, read)
			return
		}
	}
	if len(f.users) > 0 {
		f.add("FAIL", "what other bridges' users may read cannot be asked without command in write=")
	}
	f.stateEvents(cfg, func(string) bool { return true })
	seenNow := seen.list()
	if cfg.Events.Has("system") && !slices.Contains(seenNow, "system") {
		f.add("note", "no FullyBooted came with the login: the user's read= has no system (a Gap then cannot say whether Asterisk restarted), or Asterisk is still starting")
	}
	var unknown []string
	for _, class := range cfg.Events.Classes() {
		if !slices.Contains(seenNow, class) {
			unknown = append(unknown, class)
		}
	}
	if len(unknown) > 0 {
		f.add("note", "whether the user's read= has these classes cannot be asked without command in write=, so they are not checked: %s", strings.Join(unknown, ","))
	}
}

// compare says which classes never come.
func (f *findings) compare(cfg *amiconn.Config, read []string) {
	name := cfg.Variable("EVENTS")
	var both, missing []string
	for _, class := range cfg.Events.Classes() {
		if slices.Contains(read, class) {
			both = append(both, class)
		} else {
			missing = append(missing, class)
		}
	}
	switch {
	case len(both) == 0:
		f.add("FAIL", "no event ever comes: %s=%s, and the user's read= has %s", name, cfg.Events, orDash(strings.Join(read, ",")))
	case len(missing) > 0 && cfg.Events != amiconn.AllEvents:
		f.add("FAIL", "%s asks for %s, which the user's read= does not have: none of these events ever comes", name, strings.Join(missing, ","))
	case len(missing) > 0:
		f.add("note", "read= lacks %s: none of these events ever comes", strings.Join(missing, ","))
	default:
		f.add("ok", "the user may read all classes of events that are asked for")
	}
	f.stateEvents(cfg, func(class string) bool { return slices.Contains(read, class) })
	if slices.Contains(missing, "call") || !cfg.Events.Has("call") {
		f.add("note", "without class call an Originate with Ami-Wait: complete has no end: it is refused, or times out if only read= lacks the class")
	}
}

// readClasses asks the prompt for the classes in a user's read=.
func readClasses(ctx context.Context, link *amiconn.Link, user string) ([]string, error) {
	reply, err := do(ctx, link, "Command", frames.Header{Key: []byte("Command"), Value: []byte("manager show user " + user)})
	if err != nil {
		return nil, err
	}
	var lines []string
	if err := json.Unmarshal(reply.output, &lines); err != nil {
		return nil, err
	}
	for _, line := range lines {
		if name, classes, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "read perm" {
			if classes = strings.TrimSpace(classes); classes == "<none>" {
				return nil, nil
			}
			return strings.Split(classes, ","), nil
		}
	}
	return nil, fmt.Errorf("nothing is said of %.40q", user)
}

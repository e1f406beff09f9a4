package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

// positional are the words that may stand where no flag does.
func (l *completing) positional(command *kong.Node) (all []candidate) {
	given := l.given(command)
	switch n := len(given); {
	case command.Name == "help" || command.Name == "man":
		return l.commands()
	case command.Name == "tail" && n == 0:
		subjects := []candidate{{"ami.status.>", "the state of the bridge"}, {"ami.nodes.>", "the bridges themselves"}, {"ami.audit.>", "who asked for what"}}
		return append(subjects, plainly(catalog.EventNames())...)
	case command.Name == "call" && n == 0:
		servers, groups := l.served()
		return append(plainly(slices.Concat(servers, groups)), candidate{"any", "one server that is up"}, candidate{"all", "each server"})
	case command.Name == "call" && n == 1:
		return plainly(catalog.Actions())
	case command.Name == "state" && n == 0:
		servers, _ := l.served()
		return plainly(servers)
	case command.Name == "state" && n == 1:
		return plainly(presentKinds())
	case command.Name == "call":
		return headers(given[1], given[2:])
	case n < len(command.Positional):
		return plainly(command.Positional[n].EnumSlice())
	}
	return nil
}

// headers are those of an action that are not given yet.
func headers(action string, given []string) (all []candidate) {
	for _, h := range catalog.Headers(action) {
		if !slices.ContainsFunc(given, func(g string) bool { return strings.HasPrefix(g, h+"=") }) {
			all = append(all, candidate{h + "=", "header of " + action})
		}
	}
	return all
}

// given are the words before the current one that are neither flags nor their
// values.
func (l *completing) given(command *kong.Node) (all []string) {
	skip := false
	for _, word := range l.before[1:] {
		switch f := flagOf(command, word); {
		case skip:
			skip = false
		case f != nil:
			skip = !f.IsBool()
		case !strings.HasPrefix(word, "-"):
			all = append(all, word)
		}
	}
	return all
}

// completeWait is how long a shell is kept waiting for NATS.
const completeWait = 300 * time.Millisecond

// served are the servers and groups of the configuration or, if that names none,
// of the bridges that are running.
func (l *completing) served() (servers, groups []string) {
	s, _ := env.Load() // it may be wrong, and is not asked for here
	for _, one := range s.Bridge.Servers {
		servers = append(servers, one.Name)
	}
	for _, g := range s.Bridge.Groups {
		groups = append(groups, g.Name)
	}
	if len(servers) > 0 {
		return servers, groups
	}
	var flags natsFlags
	for i, word := range l.before {
		switch {
		case i == 0:
		case l.before[i-1] == "-s" || l.before[i-1] == "--nats":
			flags.NATS = word
		case l.before[i-1] == "--context":
			flags.Context = word
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*completeWait)
	defer cancel()
	nc, err := flags.connect("completion", nats.Timeout(completeWait), nats.NoReconnect(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, nil
	}
	defer nc.Close()
	running, err := discover(ctx, nc.Conn, nc.cfg.SubjectPrefix)
	if err != nil {
		return nil, nil
	}
	return running.servers, running.groups
}

// plainly are words without a meaning beside them.
func plainly(words []string) (all []candidate) {
	for _, w := range words {
		all = append(all, candidate{word: w})
	}
	return all
}

package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
)

// sayUnmatched tells which servers and names that were asked for are not in the
// stream, and the nearest that are. With nothing read it is an error.
func sayUnmatched(ctx context.Context, std stdio, source *replay.Source, sel replay.Selection, names []string, read bool) error {
	if len(sel.Servers)+len(names) == 0 {
		return nil
	}
	sel.Names = names
	u, err := source.Unmatched(ctx, &sel)
	if err != nil {
		return err
	}
	what, known := "event", catalog.EventNames()
	if sel.Kind == "audit" {
		what, known = "Action", catalog.Actions()
	}
	for _, p := range u.Servers {
		fmt.Fprintln(std.err, "ami-nats-bridge:", catalog.Unlike("server in "+source.Stream, p, u.KnownServers))
	}
	for _, p := range u.Names {
		if matchesAny(p, known) { // it may come yet
			fmt.Fprintf(std.err, "ami-nats-bridge: %s has no %s\n", source.Stream, p)
			continue
		}
		fmt.Fprintln(std.err, "ami-nats-bridge:", catalog.Unlike(what+" in "+source.Stream, p, slices.Concat(u.KnownNames, known)))
	}
	if !read && len(u.Servers)+len(u.Names) > 0 {
		return &exitError{code: 1}
	}
	return nil
}

// unlisted says that no name of a short list is called so, the nearest, and which there are;
// "" if one is.
func unlisted(kind, pattern string, those []string) string {
	why := catalog.Unlike(kind, pattern, those)
	if why != "" {
		why += "; there are " + strings.Join(those, ", ")
	}
	return why
}

func matchesAny(pattern string, those []string) bool {
	return slices.ContainsFunc(those, func(name string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// anyOf reports whether one of patterns matches name.
func anyOf(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matchesAny(p, []string{name}) })
}

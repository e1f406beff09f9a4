package view

import (
	"slices"
	"time"
)

// Change is something that has happened, for "What changed".
type Change struct {
	At     Time   `json:"at"`
	Server string `json:"server,omitempty"`
	Node   string `json:"node,omitempty"`
	What   string `json:"what"`

	subject string // of one subject the same is told once; empty: each is told
}

// change is one of a server or, if that is empty, of a node, about something that may say
// the same again and again; about nothing if it does not.
func change(at time.Time, server, node, about, what string) Change {
	c := Change{At: Time{at}, Server: server, What: what}
	if server == "" {
		c.Node = node
	}
	if about != "" {
		c.subject = c.Server + "." + c.Node + "." + about
	}
	return c
}

// changes are the last keptChanges, by time; the oldest goes.
type changes struct {
	list []Change
}

func newChanges() changes { return changes{list: make([]Change, 0, keptChanges)} }

// add adds c where its time has it, unless it says what the one before it on its
// subject said.
func (l *changes) add(c Change) {
	i := len(l.list)
	for i > 0 && l.list[i-1].At.After(c.At.Time) {
		i--
	}
	for j := i - 1; j >= 0 && c.subject != ""; j-- {
		if l.list[j].subject == c.subject {
			if l.list[j].What == c.What {
				return
			}
			break
		}
	}
	if len(l.list) == keptChanges {
		if i == 0 {
			return
		}
		l.list = slices.Delete(l.list, 0, 1)
		i--
	}
	l.list = slices.Insert(l.list, i, c)
}

// addAfter adds c if something else is the last on its subject.
func (l *changes) addAfter(c Change) {
	if slices.ContainsFunc(l.list, func(b Change) bool { return b.subject == c.subject }) {
		l.add(c)
	}
}

// newest returns the changes, the newest first.
func (l *changes) newest() []Change {
	all := slices.Clone(l.list)
	slices.Reverse(all)
	return all
}

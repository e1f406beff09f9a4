package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

// refusedKind are Actions of one server that one rule would refuse.
type refusedKind struct{ server, action, rule string }

// refusedCount is how many there were of a refusedKind.
type refusedCount struct{ all, passed int } // passed: that were allowed then

// auditReplay is what the policy in force says of what the audit holds.
type auditReplay struct {
	cfg      *config.Config
	kinds    map[refusedKind]*refusedCount
	recorded int    // Actions that are recorded
	unsure   int    // of which the record does not hold enough
	foreign  int    // of servers that are not configured
	none     int    // records that are none
	lost     uint64 // records that were lost, as those behind them say
	begins   string // where the audit begins, if that is later than asked for
}

// replayAudit prints which of the recorded Actions the policy would refuse.
func (c *checkCmd) replayAudit(std stdio, s *env.Settings) error {
	if len(c.Server) > 0 {
		return usage("--server and --replay-audit do not go together: the policy is that of all")
	}
	from, err := replay.ParseTime("-"+c.ReplayAudit, time.Now())
	if err != nil {
		return usage("--replay-audit wants how long ago, such as 7d, 12h or 90m")
	}
	flags := readFlags{natsFlags: c.natsFlags, API: c.API}
	ctx, source, prefix, end, err := flags.open(std, "check", streams.AuditStream)
	if err != nil {
		return err
	}
	defer end()
	r := auditReplay{cfg: &s.Bridge, kinds: map[refusedKind]*refusedCount{}}
	sel := replay.Selection{Prefix: prefix, Kind: "audit", From: from}
	r.begins = begins(ctx, source, from)
	progress := newProgress(std)
	err = source.Read(ctx, sel, replay.MadeAt, progress.show, r.take)
	progress.done()
	if err != nil {
		return unless(err)
	}
	return c.printer(std, s).print(r.findings(c.ReplayAudit)) // which ends with a sum of its own
}

// take judges one record. What was recorded before an Action went out is
// recorded again when it has ended.
func (r *auditReplay) take(m *replay.Message) error {
	record, err := replay.RecordOf(m)
	if err != nil || record.Node == "" {
		r.none++
		return nil
	}
	r.lost += record.Lost
	if record.Phase == "intent" {
		return nil
	}
	r.recorded++
	v, known := actions.CheckRecord(r.cfg, record.Server, record.Action, record.Fields, record.Omitted)
	switch {
	case !known:
		r.foreign++
	case v.Unsure:
		r.unsure++
	case v.Rule != "":
		kind := refusedKind{record.Server, record.Action, v.Rule}
		if r.kinds[kind] == nil {
			r.kinds[kind] = new(refusedCount)
		}
		r.kinds[kind].all++
		if record.Decision == "allowed" {
			r.kinds[kind].passed++
		}
	}
	return nil
}

// findings are one for each kind, those that would change the most first, and the
// sum.
func (r *auditReplay) findings(ago string) (found []finding) {
	kinds := make([]refusedKind, 0, len(r.kinds))
	all, passed := 0, 0
	for kind, n := range r.kinds {
		kinds = append(kinds, kind)
		all, passed = all+n.all, passed+n.passed
	}
	slices.SortFunc(kinds, func(a, b refusedKind) int {
		return cmp.Or(cmp.Compare(r.kinds[b].passed, r.kinds[a].passed), cmp.Compare(r.kinds[b].all, r.kinds[a].all),
			cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	for _, kind := range kinds {
		n := r.kinds[kind]
		f := findings{about: kind.server}
		f.add("note", "%s: %s would refuse %d, of which %d passed then", kind.action, kind.rule, n.all, n.passed)
		found = append(found, f.found...)
	}
	f := findings{about: "audit"}
	f.add("ok", "%d Actions recorded in the last %s: the policy in force would refuse %d, of which %d passed then", r.recorded, ago, all, passed)
	if r.begins != "" {
		f.add("note", "%s", r.begins)
	}
	if r.lost > 0 {
		f.add("note", "%d records were lost, as those behind them say: what they were of is not counted", r.lost)
	}
	if r.unsure > 0 {
		f.add("note", "of %d it cannot be told: their records have masked, cut or missing values", r.unsure)
	}
	if r.foreign > 0 {
		f.add("note", "%d are of servers or groups that are not configured here", r.foreign)
	}
	if r.none > 0 {
		f.add("note", "%d messages are not records", r.none)
	}
	return append(found, f.found...)
}

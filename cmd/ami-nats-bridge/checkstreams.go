package main

import (
	"cmp"
	"context"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// streams says how each stream stands, in the bridge's own words, and what a
// bridge that starts would do about it.
func (f *findings) streams(ctx context.Context, cfg *config.Config, version string) {
	reports, err := streams.Check(ctx, *cfg)
	if err != nil {
		f.add("FAIL", "streams: %v", err)
		return
	}
	// Whoever delivers at most once does without, unless no Action goes out
	// before its record is stored.
	needed := cfg.Delivery != config.DeliverCore || cfg.Audit == config.AuditStrict
	switch r := reports[0]; {
	case r.State == "no_jetstream" && !needed: // there is none to look at
		f.add("note", "no JetStream: BRIDGE_DELIVERY=core does without, and nothing keeps status and audit")
	case r.State == "no_jetstream":
		f.add("FAIL", "%s", r.Error)
	default:
		for i := range reports {
			f.stream(&reports[i], cfg, needed)
			f.sharedStream(&reports[i], cfg, version)
		}
	}
}

func (f *findings) stream(r *streams.Report, cfg *config.Config, needed bool) {
	actions := r.Name == streams.ActionSubjects
	switch {
	case actions && r.State == "ok":
		f.add("ok", "no stream captures %s.actions.>", cfg.SubjectPrefix)
	case actions && r.State == "captured":
		f.add("FAIL", "%s; the bridge does not start beside it", r.Error)
	case actions:
		f.add("note", "whether a stream captures %s.actions.> is not known: %s", cfg.SubjectPrefix, r.Error)
	case r.State == "ok":
		f.add("ok", "stream %s is as configured", r.Name)
	case r.State == "off" && r.Error == "":
		f.add("note", "stream %s is not looked at, by the bridge neither: BRIDGE_STREAMS=off", r.Name)
	case r.State == "missing" && r.Error == "":
		f.add("ok", "stream %s is not there yet: the bridge makes it when it starts", r.Name)
	case r.State == "missing" && r.Name == "KV_"+streams.KeyBucket:
		f.add("note", "stream %s is missing: %s; meanwhile an Ami-Idempotency-Key holds for one bridge alone", r.Name, r.Error)
	case r.Name == streams.StateStream && r.State != "differs":
		f.add("note", "stream %s is %s: %s; the state of the servers is off until the bridge starts and finds it", r.Name, r.State, r.Error)
		return
	case r.State != "differs":
		f.add(failIf(needed), "stream %s is %s: %s", r.Name, r.State, r.Error)
	}
	if r.State == "read_only" {
		return // it is to be made anew
	}
	for _, d := range r.Differences {
		f.difference(r.Name, &d, needed && r.Name != streams.StateStream)
	}
}

func (f *findings) difference(stream string, d *streams.Difference, needed bool) {
	then := "left: " + d.Left
	if d.Left == "" {
		then = "the bridge changes it when it starts, if it may publish to $JS.API.STREAM.UPDATE." + stream
	}
	if d.Breaks != "" {
		then += "; meanwhile " + d.Breaks
	}
	f.add(failIf(needed && d.Loses && d.Left != ""), "stream %s: %s is %s, not %s: %s", stream, d.Field, cmp.Or(d.Have, "none"), cmp.Or(d.Want, "none"), then)
}

// failIf is the verdict on something wrong that stops delivery, or does not.
func failIf(stops bool) string {
	if stops {
		return "FAIL"
	}
	return "note"
}

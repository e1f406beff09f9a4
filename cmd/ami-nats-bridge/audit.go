package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

type auditCmd struct {
	readFlags
	outputFlag
	Action    []string `placeholder:"GLOB" help:"Only these Actions; may be repeated."`
	Requester []string `placeholder:"GLOB" help:"Only what these say to have asked for."`
	Decision  []string `placeholder:"GLOB" help:"allowed or refused."`
	Outcome   []string `placeholder:"GLOB" help:"answered, asterisk_error, timeout and so on; intent for what was recorded before."`
	Verify    bool     `help:"Walk the hash chain of the whole stream, and name where it breaks."`
	Node      []string `placeholder:"NAME" help:"With --verify: the bridges that may have made records."`
	Expect    []string `placeholder:"HASH" help:"With --verify: a record that must be there, as noted from an earlier run's head."`
}

// Help is printed below the command's line in its own help.
func (*auditCmd) Help() string {
	return `--verify ends with 1 where a chain does not hold.

--node compares names that the records give themselves: whoever may publish to the audit's subjects can write any.

  ami-nats-bridge audit --from yesterday --decision refused
  ami-nats-bridge audit --action Originate --requester 'crm*'
  ami-nats-bridge audit --verify`
}

// Run prints records, or what is to be said of their chain.
func (c *auditCmd) Run(std stdio) error {
	sel, err := c.selection("audit", c.Action)
	if err != nil {
		return err
	}
	selects := len(c.Server)+len(c.Action)+len(c.Requester)+len(c.Decision)+len(c.Outcome) > 0 || c.From != "" || c.To != ""
	if c.Verify && selects {
		return usage("--verify walks the whole stream: nothing can be selected")
	}
	if err := c.check(); err != nil {
		return err
	}
	if !c.Verify && len(c.Node)+len(c.Expect) > 0 {
		return usage("--node and --expect want --verify")
	}
	for _, pin := range c.Expect {
		if err := replay.CheckPin(pin); err != nil {
			return usage("--expect: %v", err)
		}
	}
	ctx, source, prefix, end, err := c.open(std, "audit", streams.AuditStream)
	if err != nil {
		return err
	}
	defer end()
	sel.Prefix = prefix
	if c.Verify {
		return c.verify(ctx, std, source, prefix)
	}
	defer sayBegins(ctx, std, source, sel.From)()
	return c.list(ctx, std, source, sel)
}

// check refuses what no record can match.
func (c *auditCmd) check() error {
	for _, d := range c.Decision {
		if why := unlisted("decision", d, replay.Decisions()); why != "" {
			return usage("--decision: %s", why)
		}
	}
	for _, o := range c.Outcome {
		if why := unlisted("outcome", o, replay.Ends()); why != "" {
			return usage("--outcome: %s", why)
		}
	}
	wanted := replay.Wanted{Decisions: c.Decision, Outcomes: c.Outcome}
	if err := wanted.Check(); err != nil {
		return usage("%v", err)
	}
	return nil
}

// maxChain is how many records are walked to say how the chain stands behind a
// list: more takes longer than a second.
const maxChain = 20_000

// errLong ends the walk of a longer chain.
var errLong = errors.New("the chain is long")

// chainState says how the chain of the whole stream stands.
func chainState(ctx context.Context, source *replay.Source, prefix string) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := replay.Verifier{Prefix: prefix}
	err := source.Verify(ctx, &v, func(at replay.Progress) {
		if at.Total > maxChain {
			cancel(errLong)
		}
	})
	if errors.Is(context.Cause(ctx), errLong) {
		return "not walked, it is long: audit --verify does", nil
	}
	if err != nil {
		return "", err
	}
	var records, broken, lost uint64
	for _, verdict := range v.Verdicts() {
		records, broken, lost = records+verdict.Records, broken+verdict.Broken, lost+verdict.Lost
	}
	text := fmt.Sprintf("whole, %d records", records)
	if broken > 0 {
		text = fmt.Sprintf("BROKEN in %d places: audit --verify names them", broken)
	}
	if lost > 0 {
		text += fmt.Sprintf(", and %d more that were lost", lost)
	}
	return text, nil
}

func (c *auditCmd) list(ctx context.Context, std stdio, source *replay.Source, sel replay.Selection) error {
	wanted := replay.Wanted{Requesters: c.Requester, Decisions: c.Decision, Outcomes: c.Outcome}
	out := bufio.NewWriterSize(std.out, 64<<10)
	progress := newProgress(std)
	table := recordTable{screen: std.screen()}
	var line []byte
	records, none, lost := 0, 0, uint64(0)
	var r replay.Record
	var isNone error
	made := func(m *replay.Message) time.Time {
		r, isNone = replay.RecordOf(m)
		return r.Made()
	}
	err := source.Read(ctx, sel, made, progress.show, func(*replay.Message) (err error) {
		if isNone != nil {
			none++ // shown like the others: somebody put it there
		} else if lost += r.Lost; !wanted.Has(&r) {
			return nil
		}
		records++
		if !c.json() {
			return table.record(out, &r)
		}
		line = r.AppendJSON(line[:0])
		_, err = out.Write(terminal.JSON(line))
		return err
	})
	progress.done()
	if printed := table.end(out); err == nil {
		err = printed
	}
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	fmt.Fprintf(std.err, "%d records", records)
	if none > 0 {
		fmt.Fprintf(std.err, "; %d of them are none", none)
	}
	if lost > 0 { // of whoever asked for whatever
		fmt.Fprintf(std.err, "; %d more were lost, as the bridge says", lost)
	}
	if err != nil {
		fmt.Fprintln(std.err)
		return unless(err)
	}
	state, err := chainState(ctx, source, sel.Prefix)
	if err != nil {
		return unless(err)
	}
	fmt.Fprintf(std.err, "; chain: %s\n", state)
	return sayUnmatched(ctx, std, source, sel, c.Action, records > 0)
}

func (c *auditCmd) verify(ctx context.Context, std stdio, source *replay.Source, prefix string) error {
	v := replay.Verifier{Prefix: prefix, Nodes: c.Node, Pins: c.Expect}
	progress := newProgress(std)
	err := source.Verify(ctx, &v, progress.show)
	progress.done()
	if err != nil {
		return unless(err)
	}
	if len(c.Node) > 0 {
		fmt.Fprintln(std.err, "--node compares names that the records give themselves: it does not prove who made them")
	}
	verdicts := v.Verdicts()
	if err := printVerdicts(std.out, verdicts, c.Output); err != nil {
		return err
	}
	broken := uint64(0)
	for i := range verdicts {
		broken += verdicts[i].Broken
	}
	if broken > 0 {
		return &exitError{code: 1, text: fmt.Sprintf("ami-nats-bridge: the chain does not hold in %d places", broken)}
	}
	return nil
}

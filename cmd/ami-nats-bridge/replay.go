package main

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

type replayCmd struct {
	readFlags
	Event   []string `placeholder:"GLOB" help:"Only these events, and Gap; may be repeated."`
	Call    string   `placeholder:"LINKEDID" help:"All events of one call, server by server."`
	Find    string   `placeholder:"NUMBER" help:"The calls of a number or a channel, such as +49301234567, 100 or PJSIP/alice; of the last day without --from."`
	Output  string   `short:"o" enum:"table,json,ami" default:"table" placeholder:"FORMAT" help:"table, json (one object a line), or ami (as Asterisk sent it)."`
	Pace    string   `enum:"fast,original" default:"fast" help:"fast, or original: with the time that was between them."`
	Speed   speed    `default:"1" placeholder:"N" help:"With --pace original: so many times as fast, such as 10x."`
	Charset string   `enum:"utf-8,latin1" default:"utf-8" help:"With -o ami: BRIDGE_AMI_CHARSET of the bridge."`
}

// speed is a factor.
type speed float64

// UnmarshalText reads 10x, or 10.
func (s *speed) UnmarshalText(text []byte) error {
	f, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "x"), 64)
	if err != nil || f <= 0 || f > 1e6 {
		return fmt.Errorf("%.20q is not a factor such as 10x", text)
	}
	*s = speed(f)
	return nil
}

// Help is printed below the command's line in its own help.
func (*replayCmd) Help() string {
	return `Selects by the time at which the bridge read an event. Gaps are shown where they were.

  ami-nats-bridge replay --from -1h --event 'Queue*' --server pbx1
  ami-nats-bridge replay --from yesterday --to today -o json
  ami-nats-bridge replay --find +49301234567 --from -2h
  ami-nats-bridge replay --call 1763980000.42`
}

// Run prints what the stream holds, and sums up on stderr.
func (c *replayCmd) Run(std stdio) error {
	names := c.Event
	if len(names) > 0 {
		names = append(names, "Gap")
	}
	sel, err := c.selection("events", names)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	ctx, source, prefix, end, err := c.open(std, "replay", streams.EventStream)
	if err != nil {
		return err
	}
	defer end()
	sel.Prefix = prefix
	from := sel.From
	switch {
	case c.Find != "" && sel.From.IsZero() && sel.To.IsZero():
		sel.From = time.Now().AddDate(0, 0, -1)
		from = sel.From
	case c.Call != "" && from.IsZero():
		from, _ = replay.NewCall(c.Call).Began()
	}
	defer sayBegins(ctx, std, source, from)()
	switch {
	case c.Call != "":
		return c.call(ctx, std, source, sel)
	case c.Find != "":
		return c.find(ctx, std, source, sel)
	}
	p := c.printer(std, &sel)
	progress := newProgress(std)
	pace := replay.Pace{Speed: float64(c.Speed)}
	err = source.Read(ctx, sel, replay.ReadAt, progress.show, func(m *replay.Message) error {
		e := sel.EventOf(m)
		if c.Pace == "original" {
			if err := pace.Wait(ctx, &e); err != nil {
				return err
			}
			defer p.out.Flush()
		}
		return p.print(&e)
	})
	progress.done()
	if err = p.end(err); err != nil {
		return err
	}
	return sayUnmatched(ctx, std, source, sel, c.Event, p.events > p.gaps.Count)
}

// check refuses flags that do not go together.
func (c *replayCmd) check() error {
	switch one := c.Call != "" || c.Find != ""; {
	case c.Call != "" && c.Find != "":
		return usage("--find finds calls, --call shows one: give either")
	case one && (len(c.Event) > 0 || c.Pace == "original"):
		return usage("--call and --find are for whole calls: they go with neither --event nor --pace")
	case c.Find != "" && c.Output == "ami":
		return usage("--find lists calls: -o table or json")
	case c.Speed != 1 && c.Pace != "original":
		return usage("--speed wants --pace original")
	}
	return nil
}

// eventPrinter prints events in a format, and counts them.
type eventPrinter struct {
	std       stdio
	out       *bufio.Writer
	format    string
	charset   frames.Charset
	buf       []byte
	table     messageTable
	gapFinder *replay.GapFinder // nil where not all events are read
	began     time.Time

	events, missing, repeated, unwritable uint64
	gaps                                  replay.Gaps
}

func (c *replayCmd) printer(std stdio, sel *replay.Selection) *eventPrinter {
	p := &eventPrinter{std: std, out: bufio.NewWriterSize(std.out, 64<<10), format: c.Output, began: time.Now()}
	p.table.screen = std.screen()
	_ = p.charset.UnmarshalText([]byte(c.Charset)) // kong has checked it
	if len(sel.Names) == 0 && c.Call == "" {
		p.gapFinder = &replay.GapFinder{Begun: true}
	}
	return p
}

func (p *eventPrinter) print(e *replay.Event) error {
	p.events++
	p.gaps.Add(e)
	if p.gapFinder != nil {
		missing, repeated := p.gapFinder.See(e)
		p.missing += missing
		if repeated {
			p.repeated++
		}
		if missing > 0 && p.format == "table" {
			p.table.missing(p.out, e, missing)
		}
	}
	return p.write(e)
}

// write writes e.
func (p *eventPrinter) write(e *replay.Event) (err error) {
	switch p.format {
	case "table":
		return p.table.event(p.out, e, tableTime)
	case "json":
		p.buf = terminal.JSON(e.AppendJSON(p.buf[:0]))
	default:
		if p.buf, err = e.AppendAMI(p.buf[:0], p.charset); err != nil {
			fmt.Fprintln(p.std.err, "ami-nats-bridge:", terminal.Printable(err.Error()))
			p.unwritable++
			return nil
		}
	}
	_, err = p.out.Write(p.buf)
	return err
}

// end prints the summary.
func (p *eventPrinter) end(err error) error {
	if flushed := p.out.Flush(); err == nil {
		err = flushed
	}
	text := fmt.Sprintf("%d events in %v", p.events-p.gaps.Count, time.Since(p.began).Round(time.Millisecond))
	text += gapsText(p.gaps)
	if p.missing > 0 {
		text += fmt.Sprintf("; %d more numbers are missing: left out by the bridge's filters, or gone from the stream", p.missing)
	}
	if p.repeated > 0 {
		text += fmt.Sprintf("; %d out of order or there twice", p.repeated)
	}
	fmt.Fprintln(p.std.err, text)
	if err == nil && p.unwritable > 0 {
		return &exitError{code: 1, text: fmt.Sprintf("ami-nats-bridge: %d events could not be written as AMI", p.unwritable)}
	}
	return unless(err)
}

// gapsText sums up Gaps behind something else; nothing without one.
func gapsText(g replay.Gaps) (text string) {
	if g.Count > 0 {
		text = fmt.Sprintf("; %d Gaps: %d lost", g.Count, g.Lost)
	}
	if g.Unknown > 0 {
		text += fmt.Sprintf(", in %d of them nobody knows how many", g.Unknown)
	}
	return text
}

// maxCallEvents bounds what one call may hold in memory.
const maxCallEvents = 200_000

// call prints all events of one call.
func (c *replayCmd) call(ctx context.Context, std stdio, source *replay.Source, sel replay.Selection) error {
	call := replay.NewCall(c.Call)
	progress := newProgress(std)
	progress.on = terminal.Is(std.err) // what is found is printed behind it
	p := c.printer(std, &sel)
	servers := map[string][]replay.Event{}
	err := source.ReadCall(ctx, sel, call, progress.show, func(e *replay.Event) error {
		if servers[e.Server] = append(servers[e.Server], *e); len(servers[e.Server]) > maxCallEvents {
			return fmt.Errorf("over %d events: narrow it with --server, --from and --to", maxCallEvents)
		}
		return nil
	})
	progress.done()
	if err == nil {
		err = p.call(call, servers)
	}
	if err == nil && len(servers) == 0 {
		return c.noCall(call)
	}
	return p.end(err)
}

// noCall says where the call was looked for.
func (c *replayCmd) noCall(call *replay.Call) error {
	text := fmt.Sprintf("ami-nats-bridge: no event of call %.80q there", c.Call)
	if began, ok := call.Began(); ok && c.From == "" {
		text += fmt.Sprintf(", near %s, when its name says that it began: --from looks elsewhere, --find finds the calls of a number",
			began.Local().Format(time.DateTime))
	}
	return &exitError{code: 1, text: text}
}

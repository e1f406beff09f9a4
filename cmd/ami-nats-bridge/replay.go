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
		return fmt.Errorf("%.20q is no factor such as 10x", text)
	}
	*s = speed(f)
	return nil
}

// Help is printed below the command's line in its own help.
func (*replayCmd) Help() string {
	return `Selects by the time at which the bridge read an event. Holes are shown where they were.`
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
	if c.Call != "" && (len(names) > 0 || c.Pace == "original") {
		return usage("--call shows all events of a call at once: it goes with neither --event nor --pace")
	}
	if c.Speed != 1 && c.Pace != "original" {
		return usage("--speed wants --pace original")
	}
	ctx, source, prefix, end, err := c.open("replay", streams.EventStream)
	if err != nil {
		return err
	}
	defer end()
	sel.Prefix = prefix
	if c.Call != "" {
		return c.call(ctx, std, source, sel)
	}
	p := c.printer(std, &sel)
	progress := newProgress(std)
	pace := replay.Pace{Speed: float64(c.Speed)}
	err = source.Read(ctx, sel, replay.ReadAt, progress.tell, func(m *replay.Message) error {
		e := sel.EventOf(m)
		if c.Pace == "original" {
			if err := pace.Wait(ctx, e.Read); err != nil {
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
	return sayUnmatched(ctx, std, source, sel, c.Event, p.events > p.gaps)
}

// eventPrinter prints events in a format, and counts them.
type eventPrinter struct {
	std     stdio
	out     *bufio.Writer
	format  string
	charset frames.Charset
	buf     []byte
	table   messageTable
	holes   *replay.Holes // nil where not all events are read
	began   time.Time

	events, gaps, unknown, lost, missing, again, unwritable uint64
}

func (c *replayCmd) printer(std stdio, sel *replay.Selection) *eventPrinter {
	p := &eventPrinter{std: std, out: bufio.NewWriterSize(std.out, 64<<10), format: c.Output, began: time.Now()}
	p.table.screen = std.screen()
	_ = p.charset.UnmarshalText([]byte(c.Charset)) // kong has checked it
	if len(sel.Names) == 0 && c.Call == "" {
		p.holes = &replay.Holes{Begun: true}
	}
	return p
}

func (p *eventPrinter) print(e *replay.Event) error {
	p.events++
	if e.IsGap() {
		p.gaps++
		if n, err := strconv.ParseUint(e.Gap().Lost, 10, 64); err == nil {
			p.lost += n
		} else {
			p.unknown++
		}
	}
	if p.holes != nil {
		missing, again := p.holes.See(e)
		p.missing += missing
		if again {
			p.again++
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
		p.buf, err = e.AppendJSON(p.buf[:0])
	default:
		if p.buf, err = e.AppendAMI(p.buf[:0], p.charset); err != nil {
			fmt.Fprintln(p.std.err, "ami-nats-bridge:", terminal.Printable(err.Error()))
			p.unwritable++
			return nil
		}
	}
	if err != nil {
		return err
	}
	_, err = p.out.Write(p.buf)
	return err
}

// end prints the summary.
func (p *eventPrinter) end(err error) error {
	if flushed := p.out.Flush(); err == nil {
		err = flushed
	}
	text := fmt.Sprintf("%d events in %v", p.events-p.gaps, time.Since(p.began).Round(time.Millisecond))
	if p.gaps > 0 {
		text += fmt.Sprintf("; %d Gaps: %d lost", p.gaps, p.lost)
	}
	if p.unknown > 0 {
		text += fmt.Sprintf(", in %d of them nobody knows how many", p.unknown)
	}
	if p.missing > 0 {
		text += fmt.Sprintf("; %d more numbers are missing: left out by the bridge's filters, or gone from the stream", p.missing)
	}
	if p.again > 0 {
		text += fmt.Sprintf("; %d out of order or there twice", p.again)
	}
	fmt.Fprintln(p.std.err, text)
	if err == nil && p.unwritable > 0 {
		return &exitError{code: 1, text: fmt.Sprintf("ami-nats-bridge: %d events could not be written as AMI", p.unwritable)}
	}
	return unless(err)
}

// maxCallEvents bounds what one call may hold in memory.
const maxCallEvents = 200_000

// call reads twice: what belongs to a call is known at its end.
func (c *replayCmd) call(ctx context.Context, std stdio, source *replay.Source, sel replay.Selection) error {
	call := replay.NewCall(c.Call)
	if began, ok := call.Began(); ok && sel.From.IsZero() {
		sel.From = began.Add(-callSlack)
	}
	progress := newProgress(std)
	p := c.printer(std, &sel)
	err := source.Read(ctx, sel, replay.ReadAt, progress.tell, func(m *replay.Message) error {
		e := sel.EventOf(m)
		call.Learn(&e)
		return nil
	})
	servers := map[string][]replay.Event{}
	if err == nil {
		err = source.Read(ctx, sel, replay.ReadAt, progress.tell, func(m *replay.Message) error {
			e := sel.EventOf(m)
			if e.IsGap() || !call.Has(&e) {
				return nil
			}
			if servers[e.Server] = append(servers[e.Server], e); len(servers[e.Server]) > maxCallEvents {
				return fmt.Errorf("over %d events: narrow it with --server, --from and --to", maxCallEvents)
			}
			return nil
		})
	}
	progress.done()
	if err == nil {
		err = p.call(call, servers)
	}
	if err == nil && len(servers) == 0 {
		return &exitError{code: 1, text: fmt.Sprintf("ami-nats-bridge: no event of call %.80q there", c.Call)}
	}
	return p.end(err)
}

// callSlack is how far Asterisk's clock may be off.
const callSlack = 5 * time.Minute

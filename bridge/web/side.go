package web

import (
	"fmt"
	"html/template"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// line is a row of what stands beside: a sign, a name, and what is to be said of it.
type line struct {
	State, Tone, Name string
	Mono              bool
	Tag               string
	Value             template.HTML
	ValueTone         string
}

// side is a box of lines.
type side struct {
	Title, More string
	Lines       []line
}

func text(s string) template.HTML {
	return template.HTML(template.HTMLEscapeString(s)) // #nosec G203: escaped
}

// delivery is how this bridge gives away what it has.
func (p *painter) delivery() any {
	d := side{Title: "Delivery"}
	for i := range p.snap.Bridges {
		if b := &p.snap.Bridges[i]; b.Node == p.opts.Node {
			d.More = b.Delivery.Way
			p.connections(&d, b)
			p.streams(&d, b)
			p.losses(&d, b)
		}
	}
	return d
}

func (p *painter) connections(d *side, b *view.Bridge) {
	for _, c := range b.Connections {
		l := line{State: "well", Tone: "ok", Name: "NATS " + c.Name, Value: p.age(c.Since)}
		if c.Since.IsZero() {
			l.Value = "since the start"
		}
		if c.State != "CONNECTED" {
			l.State, l.Tone, l.ValueTone = "down", "bad", "bad"
			if l.Value = text("down"); !c.Since.IsZero() {
				l.Value = text("since " + p.moment(c.Since))
			}
		}
		d.Lines = append(d.Lines, l)
	}
	if leaf := b.Delivery.Leaf; leaf != nil {
		l := line{State: "well", Tone: "ok", Name: "Hub", Value: p.age(leaf.Since)}
		if !leaf.Connected {
			l.State, l.Tone, l.ValueTone = "trouble", "warn", "warn"
		}
		d.Lines = append(d.Lines, l)
	}
}

func (p *painter) streams(d *side, b *view.Bridge) {
	for _, s := range b.Delivery.Streams {
		l := line{State: "well", Tone: "ok", Name: s.Name, Mono: true, Value: text(size(int64(min(s.Bytes, 1<<62))))}
		switch {
		case !p.snap.NATS.Up:
			l.State, l.Tone, l.Value = "unknown", "quiet", "not known"
		case s.State == "off":
			l.State, l.Tone, l.Value = "unknown", "quiet", "off"
		case s.State != "ok":
			l.State, l.Tone, l.Value, l.ValueTone = "trouble", "warn", text(s.State), "warn"
		}
		d.Lines = append(d.Lines, l)
	}
}

// losses are what else is wrong, of which there is nothing to see while it is not, and what
// was refused.
func (p *painter) losses(d *side, b *view.Bridge) {
	for _, loss := range b.Losses() {
		d.Lines = append(d.Lines, line{State: "trouble", Tone: "warn", Name: loss.Name, Value: text(loss.Value), ValueTone: "warn"})
	}
	if n := p.snap.Totals.Refused; n != nil {
		d.Lines = append(d.Lines, line{Name: "Actions refused", Value: text(view.Count(*n))})
	}
	if b.Refused != nil && b.Refused.Count > 0 {
		d.Lines = append(d.Lines, line{Name: "at any, all and groups", Value: text(b.Refused.Text(p.now))})
	}
}

// bridges are those that are known: who leads, who stands by, for how long they run.
func (p *painter) bridges() any {
	s := side{Title: "Bridges"}
	for i := range p.snap.Bridges {
		b := &p.snap.Bridges[i]
		l := line{State: "well", Tone: "ok", Name: b.Node, Tag: b.Role(), Value: "up " + p.age(b.Since)}
		if b.Since.IsZero() {
			l.Value = "there"
		}
		if !b.Live {
			l.State, l.Tone, l.Value = "unknown", "quiet", text("heard "+p.moment(b.At))
		}
		s.Lines = append(s.Lines, l)
		if b.Node == p.opts.Node {
			s.Lines = append(s.Lines,
				line{Name: "ready servers", Value: text(fmt.Sprintf("%s of %s", count(b.Ready), count(b.Servers)))},
				line{Name: "version", Value: text(b.Version)})
		}
	}
	return s
}

// news is one line of what changed.
type news struct{ ID, At, Who, What string }

// shownChanges is how many are shown.
const shownChanges = 12

func (p *painter) changes() any {
	var all []news
	for _, c := range p.snap.Changes[:min(len(p.snap.Changes), shownChanges)] {
		who := c.Server
		if who == "" {
			who = c.Node
		}
		all = append(all, news{ID: fmt.Sprintf("c-%d-%s", c.At.UnixMicro(), who), At: p.moment(c.At), Who: who, What: c.What})
	}
	return all
}

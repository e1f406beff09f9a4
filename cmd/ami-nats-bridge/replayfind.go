package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// find lists the calls of a number or a channel.
func (c *replayCmd) find(ctx context.Context, std stdio, source *replay.Source, sel replay.Selection) error {
	progress := newProgress(std)
	progress.on = terminal.Is(std.err) // what is found is printed behind it
	found, gaps, err := source.Find(ctx, sel, c.Find, progress.show)
	progress.done()
	if err != nil {
		return unless(err)
	}
	if c.Output == "json" {
		for _, f := range found {
			if err := encodeLine(std.out, f); err != nil {
				return err
			}
		}
	} else if err := printFound(std, found); err != nil {
		return err
	}
	if len(found) == 0 {
		since := "until " + c.To
		if !sel.From.IsZero() {
			since = "since " + sel.From.Local().Format(time.DateTime)
		}
		fmt.Fprintf(std.err, "ami-nats-bridge: no call of %.80s %s%s\n", c.Find, since, gapsText(gaps))
		return sayUnmatched(ctx, std, source, sel, nil, false)
	}
	fmt.Fprintf(std.err, "%d calls; one of them in full: replay --call LINKEDID%s\n", len(found), gapsText(gaps))
	return nil
}

func printFound(std stdio, found []*replay.Found) error {
	if len(found) == 0 {
		return nil
	}
	t := terminal.Table{Head: []string{"BEGAN", "LINKEDID", "CALLER", "CALLED", "LASTED", "SERVER", "END", "CHANNELS"}}
	for _, f := range found {
		lasted := "is up"
		if f.Cause != "" || f.Lasted > 0 {
			lasted = (time.Duration(f.Lasted * float64(time.Second))).Round(time.Second).String()
		}
		row := []string{f.Began.Local().Format(time.DateTime), f.Linkedid, f.Caller, f.Called, lasted, f.Server, f.Cause, fmt.Sprint(f.Channels)}
		for i := range row {
			row[i] = terminal.Printable(orDash(row[i]))
		}
		t.Rows = append(t.Rows, row)
	}
	left, err := std.screen().PrintTable(std.out, &t)
	if err != nil || len(left) == 0 {
		return err
	}
	return printWrapped(std.out, std.screen(), "not shown (-o json): ", left)
}

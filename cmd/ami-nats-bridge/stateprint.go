package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// stateColumns are the fields of each kind that the table shows.
var stateColumns = map[string][]string{
	"channel":      {"Channel", "ChannelStateDesc", "CallerIDNum", "ConnectedLineNum", "Context", "Exten", "Since"},
	"bridge":       {"BridgeUniqueid", "BridgeType", "BridgeNumChannels", "BridgeName"},
	"queue":        {"Queue", "Strategy", "Calls"},
	"member":       {"Queue", "MemberName", "Interface", "Status", "Paused", "PausedReason"},
	"caller":       {"Queue", "Position", "CallerIDNum", "CallerIDName", "Channel", "Since"},
	"parked":       {"Parkinglot", "ParkingSpace", "ParkeeChannel", "ParkeeCallerIDNum", "Since", "Until"},
	"conference":   {"Conference", "Locked", "Muted"},
	"participant":  {"Conference", "Channel", "CallerIDNum", "CallerIDName", "Admin", "Muted"},
	"agent":        {"Agent", "Status", "Channel"},
	"extension":    {"Context", "Exten", "StatusText", "Hint"},
	"presence":     {"Presentity", "Status", "Subtype", "Message"},
	"device":       {"Device", "State"},
	"contact":      {"AOR", "URI", "Status"},
	"registration": {"Username", "Domain", "Status"},
}

// kindOfKey returns the server and the kind of a key of the state.
func kindOfKey(key string) (server, kind string) {
	server, rest, _ := strings.Cut(key, ".")
	kind, _, _ = strings.Cut(rest, ".")
	return server, kind
}

// statePrinter prints keys of the state.
type statePrinter struct {
	out    io.Writer
	screen terminal.Screen
	json   bool
	table  messageTable
}

// all prints what is up, which is sorted by key: a table for each server and kind.
func (p *statePrinter) all(up []jetstream.KeyValueEntry) error {
	p.table.screen = p.screen
	last := ""
	for n := 0; len(up) > 0; up = up[n:] {
		server, kind := kindOfKey(up[0].Key())
		n = slices.IndexFunc(up, func(e jetstream.KeyValueEntry) bool { s, k := kindOfKey(e.Key()); return s != server || k != kind })
		if n < 0 {
			n = len(up)
		}
		if p.json {
			for _, e := range up[:n] {
				if err := p.one(e); err != nil {
					return err
				}
			}
			continue
		}
		if server != last {
			if last != "" {
				fmt.Fprintln(p.out)
			}
			last = server
			if err := p.screen.Print(p.out, heading(server, up)); err != nil {
				return err
			}
		}
		if kind != "server" {
			if err := p.kind(kind, up[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// heading says how far a server's state is to be believed.
func heading(server string, up []jetstream.KeyValueEntry) terminal.Line {
	line := terminal.Line{{Style: terminal.Bold, Text: terminal.Printable(server)}}
	for _, e := range up {
		var v struct {
			State, Since, Node string
			NotKept            map[string]string `json:"not_kept"`
		}
		if e.Key() != server+".server" || json.Unmarshal(e.Value(), &v) != nil {
			continue
		}
		style := terminal.Good
		if v.State != "live" {
			style = terminal.Note
		}
		line = append(line, terminal.Piece{Text: ": "}, terminal.Piece{Style: style, Text: terminal.Printable(v.State)},
			terminal.Piece{Text: terminal.Printable(" since " + localTime(v.Since, time.Now()) + ", by node " + v.Node)})
		var missing []string
		for kind := range stateColumns {
			if why := v.NotKept[kind]; why != "" && why != "off" && !strings.HasPrefix(why, "Invalid") {
				missing = append(missing, kind+" ("+why+")")
			}
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			line = append(line, terminal.Piece{Style: terminal.Bad, Text: terminal.Printable("; not kept: " + strings.Join(missing, ", "))})
		}
		return line
	}
	return append(line, terminal.Piece{Style: terminal.Bad, Text: ": nobody writes it: take it for stale"})
}

// kind prints the table of one kind.
func (p *statePrinter) kind(kind string, up []jetstream.KeyValueEntry) error {
	columns := stateColumns[kind]
	if columns == nil { // of a newer bridge
		for _, e := range up {
			if err := p.one(e); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Fprintf(p.out, "\n%d %s\n", len(up), kind)
	t := terminal.Table{Indent: "  ", Head: columns}
	for _, e := range up {
		fields := fieldsOf(e.Value())
		row := make([]string, len(columns))
		for i, name := range columns {
			row[i] = telling.Value(fields, name)
			if name == "Since" || name == "Until" {
				row[i] = localTime(row[i], time.Now())
			}
			row[i] = orDash(row[i])
		}
		t.Rows = append(t.Rows, row)
	}
	left, err := p.screen.PrintTable(p.out, &t)
	if err != nil || len(left) == 0 {
		return err
	}
	return printWrapped(p.out, p.screen, "  not shown (-o json): ", left)
}

// one prints one key and its value, or its end, in one line.
func (p *statePrinter) one(e jetstream.KeyValueEntry) error {
	gone := e.Operation() != jetstream.KeyValuePut
	if p.json {
		line := struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"` // null: it has ended
		}{e.Key(), e.Value()}
		if gone || !json.Valid(e.Value()) {
			line.Value = nil
		}
		return encodeLine(p.out, line)
	}
	server, _ := kindOfKey(e.Key())
	r := row{at: e.Created().Local().Format(layoutOf(e.Created(), time.Now())), server: server, name: strings.TrimPrefix(e.Key(), server+".")}
	switch fields := fieldsOf(e.Value()); {
	case gone:
		r.says = terminal.Line{{Style: terminal.Dim, Text: " gone"}}
	case fields == nil:
		r.says = rawLine(e.Value())
	default:
		r.says = fieldLine(telling.Others(fields))
	}
	return p.table.print(p.out, r)
}

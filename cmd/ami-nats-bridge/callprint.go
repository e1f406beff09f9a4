package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// call prints a call's events, server by server.
func (p *eventPrinter) call(call *replay.Call, servers map[string][]replay.Event) error {
	for i, server := range slices.Sorted(maps.Keys(servers)) {
		events := servers[server]
		p.events += uint64(len(events))
		last, gaps := events[0].Read, uint64(0)
		for j := range events {
			if p.gaps.Add(&events[j]); events[j].IsGap() {
				gaps++
			} else {
				last = events[j].Read
			}
		}
		if p.format != "table" {
			for j := range events {
				if err := p.write(&events[j]); err != nil {
					return err
				}
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		channels, bridges := call.Size(server)
		first := events[0].Read
		head := fmt.Sprintf("%s: from %s for %v, %d events, %d channels, %d bridges", terminal.Printable(server),
			first.Local().Format(tableTime), last.Sub(first).Round(time.Millisecond), uint64(len(events))-gaps, channels, bridges)
		if err := p.std.screen().Print(p.out, terminal.Line{{Text: head}}); err != nil {
			return err
		}
		t := newCallTable(p.std.screen(), events)
		for j := range events {
			if err := t.line(p.out, &events[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// callTable prints the events of one call on one server. What a channel says of
// itself in each event is printed when it is new.
type callTable struct {
	screen        terminal.Screen
	first         time.Time
	known         map[string]string // by channel and label
	name, channel int
}

// maxChannelColumn is how wide the channels' column becomes at most.
const maxChannelColumn = 60

func newCallTable(screen terminal.Screen, events []replay.Event) *callTable {
	t := &callTable{screen: screen, first: events[0].Read, known: map[string]string{}}
	for i := range events {
		t.name = max(t.name, terminal.Width(events[i].Name))
		if events[i].IsGap() {
			t.name = max(t.name, len(gapName))
		}
		t.channel = min(max(t.channel, terminal.Width(channelsOf(fieldsOf(events[i].Data)))), maxChannelColumn)
	}
	return t
}

// channelsOf names an event's channel, and the one that it calls.
func channelsOf(fields []field) string {
	channel, to := telling.Value(fields, "Channel"), telling.Value(fields, "DestChannel")
	if to != "" {
		channel = strings.TrimPrefix(channel+" > "+to, " > ")
	}
	return orDash(channel)
}

func (t *callTable) line(w io.Writer, e *replay.Event) error {
	fields := fieldsOf(e.Data)
	channel := channelsOf(fields)
	at := terminal.Piece{Style: terminal.Dim, Text: fmt.Sprintf("  %+10.3f  ", e.Read.Sub(t.first).Seconds())}
	if e.IsGap() {
		name := terminal.Piece{Style: terminal.Note, Text: terminal.Pad(gapName, t.name) + " "}
		return t.screen.Print(w, append(terminal.Line{at, name}, gapLine(e.Gap(), e.Read)...))
	}
	return t.screen.Print(w, terminal.Line{
		at,
		{Style: terminal.Bold, Text: terminal.Pad(terminal.Printable(e.Name), t.name) + "  "},
		{Text: terminal.Pad(channel, t.channel)}, {Text: t.says(fields, channel)},
	})
}

// says are the fields that tell something at this point of the call.
func (t *callTable) says(fields []field, channel string) string {
	var text strings.Builder
	say := func(label, value string) {
		fmt.Fprintf(&text, "  %s=%s", label, quoted(value))
	}
	for _, s := range standing {
		value := joined(fields, s.headers)
		key := channel + "\x00" + s.label
		if value == "" || t.known[key] == value {
			continue
		}
		t.known[key] = value
		say(s.label, value)
	}
	for _, o := range ownFields {
		if value := joined(fields, o.headers); value != "" {
			say(o.label, value)
		}
	}
	return text.String()
}

// labelled is a label and the headers whose values stand behind it.
type labelled struct {
	label   string
	headers []string
}

// standing is what each event of a channel repeats.
var standing = []labelled{
	{"state", []string{"ChannelStateDesc"}}, {"caller", []string{"CallerIDNum", "CallerIDName"}},
	{"connected", []string{"ConnectedLineNum", "ConnectedLineName"}}, {"account", []string{"AccountCode"}},
	{"to-state", []string{"DestChannelStateDesc"}},
}

// ownFields is what only some events say.
var ownFields = []labelled{
	{"exten", []string{"Extension"}}, {"app", []string{"Application", "AppData"}}, {"dial", []string{"DialString"}},
	{"dialled", []string{"DialStatus"}}, {"queue", []string{"Queue"}}, {"position", []string{"Position"}},
	{"agent", []string{"MemberName"}}, {"interface", []string{"Interface"}}, {"ring", []string{"RingTime"}},
	{"hold", []string{"HoldTime"}}, {"talk", []string{"TalkTime"}}, {"why", []string{"Reason"}},
	{"bridge", []string{"BridgeUniqueid"}}, {"bridged", []string{"BridgeNumChannels"}}, {"digit", []string{"Digit"}},
	{"set", []string{"Variable", "Value"}}, {"result", []string{"Result"}}, {"response", []string{"Response"}},
	{"event", []string{"UserEvent"}}, {"cause", []string{"Cause", "Cause-txt"}},
}

// joined are the values of headers that say something.
func joined(fields []field, headers []string) string {
	var values []string
	for _, h := range headers {
		if value := telling.Saying(telling.Value(fields, h)); value != "" {
			values = append(values, value)
		}
	}
	return strings.Join(values, " ")
}

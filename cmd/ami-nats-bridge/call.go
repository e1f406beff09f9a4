package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

type callCmd struct {
	natsFlags
	outputFlag
	Server  string        `arg:"" help:"Name of the server, or any."`
	Action  string        `arg:"" help:"Name of the action as Asterisk spells it, such as QueueStatus."`
	Headers []string      `arg:"" optional:"" name:"key=value" help:"Headers of the action; one may be repeated."`
	Timeout time.Duration `default:"30s" help:"How long the action may take."`
	Stream  bool          `help:"Print what comes as it comes: an event a line, a Command's output of any length."`
}

// answer is a reply of the bridge.
type answer struct {
	Server   string            `json:"server"`
	Action   string            `json:"action"`
	Response string            `json:"response"`
	Message  string            `json:"message"`
	Fields   json.RawMessage   `json:"fields"`
	Events   []json.RawMessage `json:"events"`
	Output   []string          `json:"output"`
	Error    *struct {
		Code         int    `json:"code"`
		Kind         string `json:"kind"`
		Sent         string `json:"sent"`
		RetryAfterMS int64  `json:"retry_after_ms"`
		Message      string `json:"message"`
	} `json:"error"`
}

// replyGrace is how much longer than the action its reply may take.
const replyGrace = 2 * time.Second

// Run sends the action and prints the reply.
func (c *callCmd) Run(std stdio) error {
	payload, err := payloadOf(c.Headers)
	if err != nil {
		return &exitError{code: 2, text: "ami-nats-bridge: " + err.Error()}
	}
	if strings.ContainsAny(c.Server+c.Action, ".*> \t\r\n") || c.Server == "all" {
		return &exitError{code: 2, text: "ami-nats-bridge: wants the name of one server and of one action"}
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	nc, cfg, err := c.connect("call")
	if err != nil {
		return err
	}
	defer nc.Close()
	request := nats.NewMsg(cfg.SubjectPrefix + ".actions." + c.Server + "." + c.Action)
	request.Data = payload
	request.Header.Set("Ami-Timeout", c.Timeout.String())
	request.Header.Set("Ami-Requester", "ami-nats-bridge call")
	ctx, cancel := context.WithTimeout(ctx, c.Timeout+replyGrace)
	defer cancel()
	var reply *nats.Msg
	if c.Stream {
		var parts int
		if reply, parts, err = c.stream(ctx, std, nc, request); parts > 0 && !c.json() {
			std.out = io.Discard // as without a stream: what there is of it says enough
		}
	} else {
		reply, err = nc.RequestMsgWithContext(ctx, request)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("no bridge serves %s.actions.%s on %s: is it running, and is there such a server? (sent: no)",
			cfg.SubjectPrefix, c.Server, nc.ConnectedUrlRedacted())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no reply within %v (sent: unknown)", c.Timeout+replyGrace)
	case err != nil:
		return fmt.Errorf("%s: %w (sent: unknown)", c.Action, err)
	}
	return printReply(std, reply, c.json())
}

// stream sends request, prints each part as it comes, and returns the reply behind
// them and how many there were.
func (c *callCmd) stream(ctx context.Context, std stdio, nc *nats.Conn, request *nats.Msg) (reply *nats.Msg, parts int, err error) {
	request.Reply = nc.NewInbox()
	request.Header.Set("Ami-Reply", "stream")
	replies, err := nc.SubscribeSync(request.Reply)
	if err != nil {
		return nil, 0, err
	}
	if err := nc.PublishMsg(request); err != nil {
		return nil, 0, err
	}
	for ; ; parts++ {
		msg, err := replies.NextMsgWithContext(ctx)
		if err != nil {
			return nil, parts, err
		}
		number := msg.Header.Get("Ami-Part")
		if number == "" {
			return msg, parts, missing(msg, parts)
		}
		if number != strconv.Itoa(parts+1) {
			return nil, parts, fmt.Errorf("part %d is missing, part %.20q came: NATS dropped it", parts+1, number)
		}
		if err := printPart(std.out, msg.Data, c.json()); err != nil {
			return nil, parts, err
		}
	}
}

// missing says so if the reply behind so many parts counts others.
func missing(reply *nats.Msg, parts int) error {
	var r struct{ Parts *int }
	if json.Unmarshal(reply.Data, &r) == nil && r.Parts != nil && *r.Parts != parts {
		return fmt.Errorf("%d of %d parts came: NATS dropped the others", parts, *r.Parts)
	}
	return nil
}

// printPart prints lines of output as they are and an event as a line.
func printPart(w io.Writer, part []byte, raw bool) error {
	var a answer
	if raw || json.Unmarshal(part, &a) != nil || a.Output == nil {
		_, err := fmt.Fprintf(w, "%s\n", part)
		return err
	}
	return printAnswer(w, terminal.Screen{}, &answer{Output: a.Output})
}

// payloadOf makes the JSON of headers; what is repeated becomes an array.
func payloadOf(headers []string) ([]byte, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	values := make(map[string][]string)
	for _, h := range headers {
		key, value, ok := strings.Cut(h, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%.80q is no Key=Value", h)
		}
		values[key] = append(values[key], value)
	}
	object := make(map[string]any, len(values))
	for key, list := range values {
		object[key] = list
		if len(list) == 1 {
			object[key] = list[0]
		}
	}
	return json.Marshal(object)
}

// printReply prints what Asterisk said; an error goes to stderr and into the
// exit code, after whatever came with it.
func printReply(std stdio, reply *nats.Msg, raw bool) error {
	var a answer
	wrong := json.Unmarshal(reply.Data, &a)
	switch {
	case raw:
		fmt.Fprintf(std.out, "%s\n", reply.Data)
	case wrong != nil:
	default:
		if err := printAnswer(std.out, std.screen(), &a); err != nil {
			return err
		}
	}
	switch {
	case a.Error != nil:
		return &exitError{code: 1, text: a.failure()}
	case reply.Header.Get("Nats-Service-Error") != "":
		return &exitError{code: 1, text: "error: " + terminal.Printable(reply.Header.Get("Nats-Service-Error"))}
	case wrong != nil:
		return fmt.Errorf("the reply is no JSON: %w", wrong)
	}
	return nil
}

func (a *answer) failure() string {
	text := "error: " + a.Error.Kind
	switch {
	case a.Error.Kind == "asterisk_error" && a.Message != "":
		text += ": " + a.Message
	case a.Error.Message != "":
		text += ": " + a.Error.Message
	}
	text = fmt.Sprintf("%s (sent: %s", text, a.Error.Sent)
	if a.Error.RetryAfterMS > 0 {
		text += ", retry after " + (time.Duration(a.Error.RetryAfterMS) * time.Millisecond).String()
	}
	return terminal.Printable(text + ")")
}

func printAnswer(w io.Writer, screen terminal.Screen, a *answer) error {
	if len(a.Output) > 0 {
		for _, line := range a.Output {
			if _, err := fmt.Fprintln(w, terminal.Printable(strings.ReplaceAll(line, "\t", "        "))); err != nil {
				return err
			}
		}
		return nil
	}
	if len(a.Events) > 0 {
		return printTables(w, screen, a.Events, nil)
	}
	if a.Error != nil {
		return nil // Response and Message are in the error
	}
	for _, f := range fieldsOf(a.Fields) {
		if f.name == "ActionID" || f.name == "EventList" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", f.name, f.value); err != nil {
			return err
		}
	}
	return nil
}

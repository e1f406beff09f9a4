package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

type callCmd struct {
	natsFlags
	outputFlag
	Server    string        `arg:"" help:"A server, a group, any (one that is up) or all (each)."`
	Action    string        `arg:"" help:"Name of the action as Asterisk spells it, such as QueueStatus."`
	Headers   []string      `arg:"" optional:"" name:"key=value" sep:"none" help:"Headers of the action; one may be repeated."`
	Timeout   time.Duration `default:"30s" help:"How long the action may take; the bridge has a limit of its own."`
	Stream    bool          `help:"Print what comes as it comes: an event a line, a Command's output of any length."`
	Wait      bool          `help:"Of an Originate with Async=true wait for its OriginateResponse: whether somebody answered."`
	Key       string        `placeholder:"TEXT" help:"Idempotency key: the same again within minutes gets the first one's reply, and is no second phone call."`
	Requester string        `placeholder:"TEXT" help:"Who asks, for the audit; you at this machine if not given."`
	Group     string        `placeholder:"NAME" help:"With all: only the servers of that group."`
	Columns   []string      `placeholder:"NAME" help:"Only these columns of a list, in this order."`
	Validate  bool          `default:"true" negatable:"" help:"Refuse an action or a header that no Asterisk of 1.8 to 23 has; --no-validate sends it."`
}

// Help is printed below the command's line in its own help.
func (*callCmd) Help() string {
	return `The exit code is 1 if a reply is an error, which says whether it reached Asterisk.

  ami-nats-bridge call pbx1 QueueStatus Queue=sales --columns Name,Paused
  ami-nats-bridge call any CoreStatus
  ami-nats-bridge call all CoreShowChannels --group sales
  ami-nats-bridge call pbx1 Originate Channel=PJSIP/100 \
    Application=Playback Data=hello-world Async=true --wait
  ami-nats-bridge call pbx1 Command 'Command=dialplan show' --stream`
}

// replyGrace is how much longer than the action its reply may take.
const replyGrace = 2 * time.Second

// check refuses what makes no sense before anything is asked, with the nearest
// that does.
func (c *callCmd) check() error {
	names, err := headerNames(c.Headers)
	switch every := c.Server == "all"; {
	case err != nil:
		return usage("%v%s", err, taken(c.Action))
	case c.Server == "" || c.Action == "" || strings.ContainsAny(c.Server+c.Action, ".*> \t\r\n"):
		return usage("wants the name of a server, a group, any or all, and of one action")
	case c.Group != "" && !every:
		return usage("--group is for all; for one server of the group: call %.40s %.40s", c.Group, c.Action)
	case c.Timeout <= 0:
		return usage("--timeout wants more than 0")
	case c.Key != "" && c.Stream:
		return usage("--key and --stream do not go together: what was streamed is not remembered")
	case len(c.Columns) > 0 && (c.Stream || c.json()):
		return usage("--columns is for tables")
	case c.Wait && c.Action != "Originate":
		return usage("--wait is for Originate")
	case c.Wait && !frames.True(valueOfHeader(c.Headers, "Async")):
		return usage("--wait wants Async=true: otherwise Asterisk itself answers only when the call is answered")
	case !c.Validate:
		return nil
	}
	if why := catalog.Unlike("Action of Asterisk 1.8 to 23", c.Action, catalog.Actions()); why != "" {
		return usage("%s (--no-validate sends it)", why)
	}
	if err := catalog.Check(c.Action, names); err != nil {
		return usage("%v (--no-validate sends it)", err)
	}
	return nil
}

// Run sends the action and prints the reply, or that of each server.
func (c *callCmd) Run(std stdio) error {
	if err := c.check(); err != nil {
		return err
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	nc, err := c.connect("call", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if subject, _, _ := natsconn.Denial(err); subject != discovery && errors.Is(err, nats.ErrPermissionViolation) {
			cancel(err)
		}
	}))
	if err != nil {
		return err
	}
	defer nc.Close()
	if remote(nc.ConnectedUrl()) {
		fmt.Fprintf(std.err, "NATS is at %s (%s)\n", nc.ConnectedUrlRedacted(), nc.from)
	}
	request := nats.NewMsg(nc.cfg.SubjectPrefix + ".actions." + c.Server + "." + c.Action)
	request.Data, err = payloadOf(c.Headers)
	if err != nil {
		return err
	}
	c.setHeaders(request)
	if err = c.request(ctx, std, nc.Conn, request); errors.Is(err, nats.ErrNoResponders) {
		return c.nobody(ctx, nc.Conn, nc.cfg.SubjectPrefix)
	}
	return err
}

// setHeaders says how the request is to be treated.
func (c *callCmd) setHeaders(request *nats.Msg) {
	set := func(name, value string) {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	set("Ami-Timeout", c.Timeout.String())
	set("Ami-Requester", cmp.Or(c.Requester, requester()))
	set("Ami-Idempotency-Key", c.Key)
	set("Ami-Group", c.Group)
	if c.Wait {
		set("Ami-Wait", "complete")
	}
	if c.Stream {
		set("Ami-Reply", "stream")
	}
}

// nobody says that no bridge serves what was asked for, and what those do that are
// there.
func (c *callCmd) nobody(ctx context.Context, nc *nats.Conn, prefix string) error {
	text := fmt.Sprintf("no bridge serves %s.actions.%s on %s (sent: no)", prefix, c.Server, nc.ConnectedUrlRedacted())
	served, _ := discover(ctx, nc, prefix)
	if len(served.names()) == 0 {
		return errors.New(text + ": is it running, and is there such a server?")
	}
	return fmt.Errorf("%s: %s", text, catalog.Unlike("server or group", c.Server, served.names()))
}

// taken says which headers an Action takes, as far as that is known.
func taken(action string) string {
	all := catalog.Headers(action)
	switch {
	case len(all) == 0:
		return ""
	case len(all) > 6:
		all = append(slices.Clone(all[:6]), "and more")
	}
	return fmt.Sprintf("; %.64s takes %s", action, strings.Join(all, ", "))
}

// headerNames are the keys of headers.
func headerNames(headers []string) (names []string, err error) {
	for _, h := range headers {
		key, _, ok := strings.Cut(h, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%.80q is not Key=Value", h)
		}
		names = append(names, key)
	}
	return names, nil
}

// valueOfHeader is the value of the first header called name, in any case:
// Asterisk takes that one (manager.c astman_get_header).
func valueOfHeader(headers []string, name string) string {
	for _, h := range headers {
		if key, value, _ := strings.Cut(h, "="); strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// payloadOf makes the JSON of headers, which check took; what is repeated becomes
// an array.
func payloadOf(headers []string) ([]byte, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	values := make(map[string][]string)
	for _, h := range headers {
		key, value, _ := strings.Cut(h, "=")
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

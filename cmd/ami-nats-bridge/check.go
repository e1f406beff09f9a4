package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

type checkCmd struct {
	ReplayAudit string   `placeholder:"AGO" help:"Instead: which Actions that the audit has from then on, such as 7d or 12h ago, the policy in force would refuse."`
	API         string   `name:"js-api" placeholder:"PREFIX" help:"With --replay-audit: where JetStream answers, if not at $$JS.API."`
	Server      []string `placeholder:"GLOB" help:"Only these servers, and not NATS; may be repeated."`
	OtherUser   []string `placeholder:"NAME" help:"As whom another bridge logs in, where bridges share servers: compare what it may read with this one's user. May be repeated."`
	Quiet       bool     `short:"q" help:"Print what FAILs, and nothing if all is well."`
	natsFlags
	outputFlag
}

// Help is printed below the command's line in its own help.
func (*checkCmd) Help() string {
	return "It logs in as the bridge would and asks; it writes nothing to Asterisk or NATS. Exit code 1 if something FAILs. " +
		"--replay-audit asks NATS alone, for what AMI_AUDIT holds.\n\n" +
		"  ami-nats-bridge check --server pbx1\n  ami-nats-bridge check --quiet"
}

// checkTimeout bounds the check of one server, and that of NATS.
const checkTimeout = 20 * time.Second

// maxSkew is the difference of clocks that is worth a note, beyond half of the
// round trip, which nobody can tell from one: Ami-Time and Asterisk's own times
// then tell different stories.
const maxSkew = time.Second

// Run checks everything at once and prints the findings in the order of the
// configuration.
func (c *checkCmd) Run(std stdio) error {
	s, problems := env.Load()
	if err := configError(problems); err != nil {
		return err
	}
	if c.ReplayAudit != "" {
		return c.replayAudit(std, &s)
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	good, err := c.check(ctx, std, &s)
	if err == nil && !good {
		err = &exitError{code: 1}
	}
	return err
}

// check checks all at once, prints what it found in the order of the
// configuration, and reports whether nothing FAILs.
func (c *checkCmd) check(ctx context.Context, std stdio, s *env.Settings) (good bool, err error) {
	servers, err := c.servers(s.Bridge.Servers)
	if err != nil {
		return false, err
	}
	all := make([]findings, len(servers)+2)
	all[len(all)-2].settings(s)
	var group sync.WaitGroup
	for i := range servers {
		group.Go(func() { all[i] = checkServer(ctx, &s.Bridge, &servers[i], c.OtherUser) })
	}
	if len(c.Server) == 0 {
		group.Go(func() { all[len(all)-1] = checkNATS(ctx, s, bridgesFor) })
	}
	group.Wait()
	p := c.printer(std, s)
	for _, f := range all {
		if err := p.print(f.found); err != nil {
			return false, err
		}
	}
	return p.fails == 0, p.end()
}

// servers are those to be checked.
func (c *checkCmd) servers(all []config.ServerConfig) ([]config.ServerConfig, error) {
	if len(c.Server) == 0 {
		return all, nil
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	for _, p := range c.Server {
		if _, err := path.Match(p, ""); err != nil {
			return nil, usage("--server: %.80q is not a pattern of names", p)
		}
		if why := catalog.Unlike("server in BRIDGE_SERVERS", p, names); why != "" {
			return nil, usage("--server: %s", why)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s config.ServerConfig) bool {
		return !anyOf(c.Server, s.Name)
	}), nil
}

// settings says what is set and has no effect.
func (f *findings) settings(s *env.Settings) {
	f.about = "settings"
	for _, one := range s.Idle() {
		f.add("note", "%s has no effect: %s", one.Variable, one.Why)
	}
	for _, name := range s.Hidden {
		f.add("note", "%s: the environment hides what %s says of it", name, env.EnvFile)
	}
}

// checkServer logs in to one Asterisk and asks it about itself.
func checkServer(ctx context.Context, bridge *config.Config, own *config.ServerConfig, others []string) findings {
	cfg, f := own.Config, findings{about: own.Name, users: others}
	if bridge.State {
		f.state = own.State
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	f.peer(ctx, &cfg)
	changes := make(chan amiconn.Change, 8*amiconn.MaxActionSessions)
	seen := new(seenClasses)
	link := amiconn.NewLink(cfg, amiconn.Deps{
		Node: bridge.Node, Logger: zap.NewNop(), ReplyBytes: 1 << 20, HeldBytes: 4 << 20,
		Hooks: amiconn.Hooks{
			Event: func(e amiconn.Event) { seen.add(e.Frame) }, Corrupt: func(int) {},
			State: func(c amiconn.Change) {
				select {
				case changes <- c:
				default: // only the first few are looked at
				}
			},
		},
	})
	group.Go(func() { _ = link.Run(ctx) }) // ends only when ctx does
	sessions := len(link.Status().Sessions)
	version, err := awaitUp(ctx, sessions, changes)
	if err != nil {
		f.add("FAIL", "%s: %v", cfg.Addr, err)
		return f
	}
	f.add("ok", "%s: logged in as %s, %d sessions, AMI %s", cfg.Addr, cfg.Username, sessions, version)
	f.askServer(ctx, link, &cfg, seen)
	return f
}

// awaitUp waits until as many sessions are up, or one failed.
func awaitUp(ctx context.Context, sessions int, changes <-chan amiconn.Change) (version string, err error) {
	for sessions > 0 {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("not up in time: %w", context.Cause(ctx))
		case c := <-changes:
			switch c.To {
			case amiconn.StateUp:
				sessions--
				version = c.Version
			case amiconn.StateWaiting:
				return "", fmt.Errorf("%s session: %w", c.Name, c.Err)
			}
		}
	}
	return version, nil
}

// askServer adds what Asterisk says of itself, and what it does not let us ask.
func (f *findings) askServer(ctx context.Context, link *amiconn.Link, cfg *amiconn.Config, seen *seenClasses) {
	began := time.Now()
	ping, err := do(ctx, link, "Ping")
	if err != nil {
		f.add("FAIL", "Ping: %v", err)
		return
	}
	f.add("ok", "round trip %v", ping.took.Round(10*time.Microsecond))
	f.clock(telling.Value(ping.fields, "Timestamp"), began, ping.took)
	missing := false
	for _, action := range []string{"CoreSettings", "CoreStatus"} {
		reply, err := do(ctx, link, action)
		switch {
		case err != nil:
			f.add("FAIL", "%s: %v", action, err)
		case reply.response == "Error":
			missing = true
			f.add("note", "%s: %s", action, reply.message)
		case action == "CoreSettings":
			f.add("ok", "Asterisk %s, system name %s", telling.Value(reply.fields, "AsteriskVersion"),
				orDash(telling.Value(reply.fields, "SystemName")))
		default:
			f.add("ok", "running since %s %s", telling.Value(reply.fields, "CoreStartupDate"), telling.Value(reply.fields, "CoreStartupTime"))
		}
	}
	if missing {
		f.add("note", "the user's write= has neither system nor reporting: the bridge works, but cannot tell version and restarts")
	}
	mayCommand := false
	if list, err := do(ctx, link, "ListCommands"); err == nil && list.response != "Error" {
		mayCommand = telling.Value(list.fields, "Command") != ""
		f.add("ok", "the user may send %d actions; others are answered with Permission denied", max(0, len(list.fields)-2))
		if missing := missingClasses(list.fields); missing != "" {
			f.add("note", "write= lacks, or no module loaded uses: %s", missing)
		}
		f.stateLists(list.fields)
	}
	f.events(ctx, link, cfg, mayCommand, seen)
}

// clock compares the server's clock, as it was some time within took of began,
// with ours.
func (f *findings) clock(timestamp string, began time.Time, took time.Duration) {
	var seconds float64
	if _, err := fmt.Sscanf(timestamp, "%f", &seconds); err != nil {
		f.add("note", "clock not checked: the Ping's answer has no time")
		return
	}
	skew := time.UnixMicro(int64(seconds * 1e6)).Sub(began.Add(took / 2)).Round(time.Millisecond)
	if skew.Abs() > maxSkew+took/2 {
		f.add("note", "its clock is off by %v: is NTP running on both sides?", skew)
		return
	}
	f.add("ok", "clock skew %v", skew)
}

// said is an Asterisk's answer to an Action that is no list.
type said struct {
	response, message string
	fields            []field
	output            []byte // a JSON array of lines
	took              time.Duration
}

// do sends an Action and waits for its end.
func do(ctx context.Context, link *amiconn.Link, action string, headers ...frames.Header) (said, error) {
	done := make(chan said, 1)
	failed := make(chan error, 1)
	_, err := link.Do(amiconn.Action{Name: action, Headers: headers, Done: func(r *correlation.Result) {
		defer r.Release()
		if r.Response == "" {
			failed <- fmt.Errorf("%v", r.Outcome)
			return
		}
		done <- said{r.Response, r.Message, fieldsOf(r.Fields), fmt.Appendf(nil, "[%s]", r.Output), r.Duration}
	}})
	if err != nil {
		return said{}, err
	}
	select {
	case reply := <-done:
		return reply, nil
	case err := <-failed:
		return said{}, err
	case <-ctx.Done():
		return said{}, context.Cause(ctx)
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

// watchFlags are those of the commands that show how all servers are.
type watchFlags struct {
	natsFlags
	HTTP httpFlag `name:"http" placeholder:"URL" help:"Ask the bridge itself, and not NATS: there or, without a URL, at BRIDGE_HTTP_ADDR. If not given it is asked while NATS does not answer."`
}

// reader says where to read from, for the command called name.
func (f *watchFlags) reader(name string) (top.ReaderOptions, error) {
	s, _ := env.Load() // what is wrong in it for NATS, connect says
	cfg := s.Bridge
	opts := top.ReaderOptions{Prefix: cfg.SubjectPrefix, Interval: cfg.StatusInterval}
	switch {
	case f.HTTP.given && (f.NATS != "" || f.Context != ""):
		return opts, usage("--http asks the bridge itself, --nats and --context a NATS: give either")
	case f.HTTP.given:
		url, err := f.HTTP.url(&s)
		opts.HTTP = url
		return opts, err
	}
	if url, err := top.BridgeURL(cfg.HTTPAddr); err == nil {
		opts.HTTP = url
	}
	where, err := f.where(&s)
	if err != nil {
		return opts, err
	}
	opts.Tap = tapping(cfg.SubjectPrefix)
	opts.NATS, opts.API = env.RedactURLs(where.nats.URL), where.api
	opts.Connect = func(more ...nats.Option) (*nats.Conn, error) {
		c, err := f.connect(name, more...)
		if err != nil {
			return nil, err
		}
		return c.Conn, nil
	}
	return opts, nil
}

type statusCmd struct {
	watchFlags
	Output string `short:"o" enum:"table,json" default:"table" help:"table, or json: one object, as docs/schemas/status.schema.json has it."`
}

// Help is printed below the command's line in its own help.
func (*statusCmd) Help() string {
	return "Exit code: 0 if all servers are well or syncing; 1 if one is ill; 2 if none is, and one is not known or may be missing, or nothing answers."
}

// Run prints how all is.
func (c *statusCmd) Run(std stdio) error {
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	return c.print(ctx, std, "status", c.Output == "json")
}

// print prints how all is and returns the exit code as an error.
func (f *watchFlags) print(ctx context.Context, std stdio, name string, asJSON bool) error {
	opts, err := f.reader(name)
	if err != nil {
		return err
	}
	snap, src, err := top.Ask(ctx, opts)
	if e, ok := errors.AsType[*exitError](err); ok {
		return e
	}
	if err != nil {
		return &exitError{code: 2, text: "ami-nats-bridge: " + terminal.Printable(err.Error())}
	}
	if asJSON {
		err = encodeIndented(std.out, snap)
	} else {
		_, err = io.WriteString(std.out, top.Once(snap, src, columns(std.out), profile(std.out)))
	}
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	note := src.Note()
	if note != "" && asJSON {
		fmt.Fprintln(std.err, "ami-nats-bridge:", terminal.Printable(note))
	}
	switch code := snap.ExitCode(); {
	case code != 0:
		return &exitError{code: code}
	case note != "":
		return &exitError{code: 2}
	}
	return nil
}

// unboundedColumns is for what is no terminal: nothing is to be cut there.
const unboundedColumns = 400

// columns is how wide w is.
func columns(w io.Writer) int {
	if isScreen(w) {
		return cmp.Or(terminal.ScreenOf(w).Width, 80)
	}
	return unboundedColumns
}

// isScreen says whether w is a terminal that can be drawn on; /dev/null is none.
func isScreen(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isTerminal(file)
}

// profile is what w can show, by the environment.
func profile(w io.Writer) top.Profile {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return top.Profile{
		Colour: terminal.ScreenOf(w).Colour,
		UTF8:   strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8"),
	}
}

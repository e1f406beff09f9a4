package main

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

type topCmd struct {
	watchFlags
}

// Help is printed below the command's line in its own help.
func (*topCmd) Help() string {
	return "Reads AMI_STATUS and AMI_STATE from NATS or, while that does not answer, the bridge's own /status.json. " +
		"? shows the keys. " +
		"Without a terminal, or on a dumb one, it prints one screen, as status does, and its exit code is that of status. NO_COLOR turns colours off."
}

// Run shows how all is until the user has seen enough.
func (c *topCmd) Run(std stdio) error {
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	if !isDrawnOn(std.out, os.Stdin) {
		return c.print(ctx, std, "top", false)
	}
	opts, err := c.reader("top")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	reader, failed := top.NewReader(opts), make(chan error, 1)
	group.Go(func() {
		if err := reader.Run(ctx); err != nil {
			failed <- err
			cancel()
		}
	})
	screen := top.NewScreen(reader, profile(std.out), time.Now, writeScreen)
	err = screen.Run(ctx, tea.WithInput(os.Stdin), tea.WithOutput(std.out))
	select {
	case err := <-failed:
		return err
	default:
		return err
	}
}

// isDrawnOn says whether a screen can be drawn on out, of which the keys come by in.
func isDrawnOn(out io.Writer, in *os.File) bool {
	return isScreen(out) && isTerminal(in) && os.Getenv("TERM") != "dumb"
}

// writeScreen keeps the text of a screen in a new file of this directory.
func writeScreen(text string, now time.Time) (string, error) {
	name := "ami-nats-bridge-" + now.Format("20060102-150405") + ".txt"
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(text)
	return name, errors.Join(err, file.Close())
}

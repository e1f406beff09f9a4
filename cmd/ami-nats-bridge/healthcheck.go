package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

type healthcheckCmd struct {
	HTTP    httpFlag      `name:"http" placeholder:"URL" help:"Where the bridge serves HTTP; BRIDGE_HTTP_ADDR if not given."`
	Ready   bool          `help:"Ask whether it is ready (/readyz), not only whether it serves (/healthz)."`
	Timeout time.Duration `default:"3s" help:"Longest to wait."`
}

// Help is printed below the command's line in its own help.
func (*healthcheckCmd) Help() string {
	return "For containers, which have no curl. Exit code: 0 if it is well; 1 if it answers that it is not; 2 if it does not answer, or the usage is wrong. " +
		"Do not have a container restarted for want of --ready: while NATS is away events wait in memory, and a restart loses them."
}

// healthBytes bounds what is read of an answer.
const healthBytes = 16 << 20

// Run asks the bridge how it is.
func (c *healthcheckCmd) Run(std stdio) error {
	s, _ := env.Load() // nothing but one address is of use here
	url, err := c.HTTP.url(&s)
	if err != nil {
		return err
	}
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	code, body, err := askHTTP(ctx, url+path)
	if err != nil {
		return &exitError{code: 2, text: "ami-nats-bridge: " + terminal.Printable(err.Error())}
	}
	if code == http.StatusOK {
		fmt.Fprintln(std.out, "ok")
		return nil
	}
	var ready struct{ Reasons []string }
	if json.Unmarshal(body, &ready) != nil || len(ready.Reasons) == 0 {
		ready.Reasons = []string{fmt.Sprintf("%s answers %d", path, code)}
	}
	return &exitError{code: 1, text: terminal.Printable(strings.Join(ready.Reasons, "; "))}
}

// askHTTP returns what is answered at address.
func askHTTP(ctx context.Context, address string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask the bridge: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the URL in it may have a password
	}
	if err != nil {
		return 0, nil, fmt.Errorf("ask the bridge: %w", err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, healthBytes))
	if err != nil {
		return 0, nil, fmt.Errorf("ask the bridge: %w", err)
	}
	return answer.StatusCode, body, nil
}

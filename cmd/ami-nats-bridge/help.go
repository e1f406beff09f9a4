package main

import (
	"fmt"

	"github.com/alecthomas/kong"
)

const description = `Turns Asterisk servers into NATS subjects: their events come out, actions go in,
and the state of both is there to see.`

const examples = `
Examples:
  ami-nats-bridge demo
  BRIDGE_SERVERS=pbx1 BRIDGE_SERVER_PBX1_ADDR=10.0.0.1:5038 \
    BRIDGE_SERVER_PBX1_USERNAME=bridge BRIDGE_SERVER_PBX1_SECRET_FILE=./secret \
    ami-nats-bridge run
  ami-nats-bridge tail 'ami.events.*.Hangup'
  ami-nats-bridge call pbx1 QueueStatus Queue=sales
  ami-nats-bridge state pbx1 caller --watch
  ami-nats-bridge replay --from -1h --event 'Queue*'
  ami-nats-bridge audit --verify
`

// help is kong's own, with the examples at the end of the program's.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if ctx.Selected() != nil {
		return nil
	}
	_, err := fmt.Fprint(ctx.Stdout, examples)
	return err
}

type helpCmd struct {
	Command string `arg:"" optional:"" help:"Its name."`
}

// Run shows the help of the command, or of the program.
func (c *helpCmd) Run(std stdio) error {
	args := []string{std.name, c.Command, "--help"}
	if c.Command == "" {
		args = []string{std.name, "--help"}
	}
	if code := run(args, std); code != 0 {
		return &exitError{code: code} // it has said why
	}
	return nil
}

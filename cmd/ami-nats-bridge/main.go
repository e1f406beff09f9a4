package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// cli is the command line. Nothing of the configuration is in it: that is the
// environment's.
type cli struct {
	Run        runCmd         `cmd:"" help:"Run the bridge, configured by BRIDGE_ variables."`
	Demo       demoCmd        `cmd:"" help:"Show it at work with two simulated Asterisks."`
	Check      checkCmd       `cmd:"" help:"Log in everywhere, say what is missing, change nothing."`
	Config     configCmd      `cmd:"" help:"Print every variable and its value, secrets hidden."`
	Top        topCmd         `cmd:"" help:"Watch all servers: the ill first, and why."`
	Status     statusCmd      `cmd:"" help:"Print once how all servers are."`
	Health     healthcheckCmd `cmd:"" name:"healthcheck" help:"Ask a bridge whether it is well, as containers do."`
	Tail       tailCmd        `cmd:"" help:"Print messages from NATS as they come."`
	Call       callCmd        `cmd:"" help:"Send an action through the bridge, print the reply."`
	State      stateCmd       `cmd:"" help:"Print what is up now: channels, callers, members and so on."`
	Replay     replayCmd      `cmd:"" help:"Print events that the stream keeps: a time range, or one call."`
	Audit      auditCmd       `cmd:"" help:"Print the audit's records, or verify their chain."`
	Version    versionCmd     `cmd:"" help:"Print the version."`
	Completion completionCmd  `cmd:"" help:"Print a completion script for a shell."`
	Man        manCmd         `cmd:"" help:"Print a man page: of the program, or of a command."`
	Help       helpCmd        `cmd:"" help:"Show the help of a command."`
	Complete   completeCmd    `cmd:"" name:"__complete" hidden:""`

	ShowVersion versionFlag `name:"version" help:"Print the version."`
}

// stdio is what a command reads its arguments' name from and writes to.
type stdio struct {
	name     string // the program as it was typed
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args, stdio{name: os.Args[0], out: os.Stdout, err: os.Stderr}))
}

// run is main with its surroundings given: 0 done, 1 failed, 2 wrong usage or
// configuration.
func run(args []string, std stdio) (code int) {
	exit := func(c int) { panic(exitError{code: c}) } // kong goes on after --help if Exit returns
	defer func() {
		if e, ok := recover().(exitError); ok {
			code = e.code
		}
	}()
	parser, err := newParser(std, exit)
	if err != nil {
		fmt.Fprintln(std.err, "ami-nats-bridge:", err)
		return 2
	}
	command, err := parser.Parse(args[1:])
	if err != nil {
		fmt.Fprintf(std.err, "ami-nats-bridge: %v%s\n", err, see(std, err))
		return 2
	}
	err = unsaid(command)
	if err == nil {
		err = command.Run(std)
	}
	return report(std, pointed(err, std, command.Selected()))
}

func newParser(std stdio, exit func(int)) (*kong.Kong, error) {
	return kong.New(new(cli), kong.Name("ami-nats-bridge"), kong.Description(description),
		kong.Writers(std.out, std.err), kong.Exit(exit), kong.Help(help),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(aDuration)),
		kong.WithHyphenPrefixedParameters(true), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
}

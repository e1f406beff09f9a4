package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is printed below the command's line in its own help.
func (*completionCmd) Help() string {
	return `bash: source <(ami-nats-bridge completion bash)
zsh:  source <(ami-nats-bridge completion zsh)
fish: ami-nats-bridge completion fish | source`
}

// Run prints the script.
func (c *completionCmd) Run(std stdio) error {
	parser, err := newParser(std, func(int) {})
	if err != nil {
		return err
	}
	return writeCompletion(std.out, c.Shell, parser.Model.Node)
}

func writeCompletion(w io.Writer, shell string, app *kong.Node) error {
	if shell == "fish" {
		return writeFish(w, app)
	}
	var cases, commands strings.Builder
	for _, c := range app.Children {
		fmt.Fprintf(&commands, "%s ", c.Name)
		fmt.Fprintf(&cases, "    %s) words=%q ;;\n", c.Name, strings.Join(append(flags(c), choices(c)...), " "))
	}
	script := `_ami_nats_bridge() {
  local words="` + strings.TrimSpace(commands.String()) + `"
  case "${COMP_WORDS[1]}" in
` + cases.String() + `  esac
  [ "$COMP_CWORD" -eq 1 ] && words="` + strings.TrimSpace(commands.String()) + ` --help"
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _ami_nats_bridge ami-nats-bridge
`
	if shell == "zsh" {
		script = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n" + script
	}
	_, err := io.WriteString(w, script)
	return err
}

func writeFish(w io.Writer, app *kong.Node) error {
	var script strings.Builder
	script.WriteString("complete -c ami-nats-bridge -f\n")
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for _, c := range app.Children {
		fmt.Fprintf(&script, "complete -c ami-nats-bridge -n __fish_use_subcommand -a %s -d '%s'\n", c.Name, quote.Replace(c.Help))
		for _, f := range c.Flags {
			fmt.Fprintf(&script, "complete -c ami-nats-bridge -n '__fish_seen_subcommand_from %s' -l %s -d '%s'\n",
				c.Name, f.Name, quote.Replace(f.Help))
		}
		for _, word := range choices(c) {
			fmt.Fprintf(&script, "complete -c ami-nats-bridge -n '__fish_seen_subcommand_from %s' -a %s\n", c.Name, word)
		}
	}
	_, err := io.WriteString(w, script.String())
	return err
}

func flags(c *kong.Node) []string {
	words := []string{"--help"}
	for _, f := range c.Flags {
		words = append(words, "--"+f.Name)
	}
	return words
}

// choices are the words that a positional argument may be.
func choices(c *kong.Node) []string {
	var words []string
	for _, p := range c.Positional {
		words = append(words, p.EnumSlice()...)
	}
	return words
}

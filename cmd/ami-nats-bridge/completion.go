package main

import "fmt"

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is printed below the command's line in its own help.
func (*completionCmd) Help() string {
	return `Commands, flags, servers, groups, events, actions and their headers are completed. In a file that the shell reads:

  bash: source <(ami-nats-bridge completion bash)
  zsh:  source <(ami-nats-bridge completion zsh)
  fish: ami-nats-bridge completion fish | source`
}

// scripts ask the program itself what there is: it knows servers, which change.
// bash cuts words at = and :, so it gives the line, and it alone does not quote
// what it is given, such as ami.status.>; and none of them is to put a blank behind
// what ends with =.
var scripts = map[string]string{
	"bash": `_ami_nats_bridge() {
  local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" cur="${COMP_WORDS[COMP_CWORD]}"
  [ "$cur" = "=" ] && cur=""
  local word="${line##*[[:space:]]}"
  local head="${word%"$cur"}"
  COMPREPLY=($("${COMP_WORDS[0]}" __complete --line "$line" 2>/dev/null | cut -f1))
  local i
  for i in "${!COMPREPLY[@]}"; do printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]#"$head"}"; done
  case "${COMPREPLY[*]}" in *=) compopt -o nospace 2>/dev/null ;; esac
}
complete -F _ami_nats_bridge ami-nats-bridge
`,
	"zsh": `#compdef ami-nats-bridge
_ami_nats_bridge() {
  local word
  local -a whole open
  for word in ${(f)"$(${words[1]} __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
    word=${word%%$'\t'*}
    if [[ $word == *= ]]; then open+=("$word"); else whole+=("$word"); fi
  done
  compadd -S '' -a open
  compadd -a whole
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _ami_nats_bridge ami-nats-bridge
`,
	"fish": `function __ami_nats_bridge
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  $words[1] __complete -- $words[2..-1] "$current" 2>/dev/null
end
complete -c ami-nats-bridge -f -a '(__ami_nats_bridge)'
`,
}

// Run prints the script.
func (c *completionCmd) Run(std stdio) error {
	_, err := fmt.Fprint(std.out, scripts[c.Shell])
	return err
}

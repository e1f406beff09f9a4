package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// completed are the words that complete a line.
func completed(t *testing.T, line string) []string {
	t.Helper()
	out, problems := printed(t, 0, "__complete", "--line", line)
	if problems != "" {
		t.Errorf("%q: %s", line, problems)
	}
	var words []string
	for row := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(row, "\n"), "\t")
		words = append(words, word)
	}
	return words
}

func TestComplete_OffersWhatMayStandThere(t *testing.T) {
	envtest.Set(t, "BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_GROUP_SALES=pbx1")
	for line, want := range map[string]string{
		"x ch":                                 "check",
		"x ":                                   "run demo check config top status healthcheck tail call state replay audit version completion man help --help --version",
		"x --v":                                "--version",
		"x call ":                              "pbx1 pbx2 sales any all",
		"x call p":                             "pbx1 pbx2",
		"x call pbx1 QueueSt":                  "QueueStatus",
		"x call pbx1 QueueStatus ":             "Queue= Member=",
		"x call pbx1 QueueStatus Queue=sales ": "Member=",
		"x call pbx1 --timeout 5s QueueStatus Mem":     "Member=",
		"x call --stream -o json pbx1 QueueStatus Que": "Queue=",
		"x call pbx1 'QueueStatus' Mem":                "Member=",
		"x call pbx1 Ping ":                            "",
		"x call pbx1 Ping --ke":                        "--key",
		"x call all Ping --group ":                     "sales",
		"x call pbx1 Ping -o ":                         "table json",
		"x call pbx1 Ping --output=j":                  "--output=json",
		"x tail --server pbx":                          "pbx1 pbx2",
		"x tail QueueCallerA":                          "QueueCallerAbandon",
		"x tail ami.st":                                "ami.status.>",
		"x state ":                                     "pbx1 pbx2",
		"x state pbx1 c":                               "channel caller conference contact",
		"x replay --event Hang":                        "Hangup HangupHandlerPop HangupHandlerPush HangupHandlerRun HangupRequest",
		"x replay -o ":                                 "table json ami",
		"x audit --outcome time":                       "timeout",
		"x audit --action Originat":                    "Originate",
		"x audit --decision ":                          "allowed refused",
		"x completion f":                               "fish",
		"x help ch":                                    "check",
		"x nothing ":                                   "",
	} {
		if got := strings.Join(completed(t, line), " "); got != want {
			t.Errorf("%q completes to %q, want %q", line, got, want)
		}
	}
}

// Without a configuration the bridges that are running say what they serve.
func TestComplete_AsksTheBridges(t *testing.T) {
	url, _ := bridged(t, "pbx1 pbx2")
	if got := completed(t, "x call "); !slices.Equal(got, []string{"pbx1", "pbx2", "sales", "any", "all"}) {
		t.Errorf("%q", got)
	}
	envtest.Set(t, "BRIDGE_NATS_URL=nats://127.0.0.1:1")
	if got := completed(t, "x call "); !slices.Equal(got, []string{"any", "all"}) {
		t.Errorf("without NATS %q", got)
	}
	if got := completed(t, "x call --nats "+url+" p"); !slices.Equal(got, []string{"pbx1", "pbx2"}) {
		t.Errorf("at another NATS %q", got)
	}
}

// installed is a directory with this program under its name.
func installed(t *testing.T) (dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "ami-nats-bridge")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("AMI_NATS_BRIDGE_AS_PROGRAM", "1")
	return dir
}

// The scripts do in each shell what the shell's user sees.
func TestCompletion_WorksInTheShell(t *testing.T) {
	for shell, script := range map[string]string{
		"bash": `source <(ami-nats-bridge completion bash)
try() { COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=(${1//=/ = }); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  case "$1" in *" ") COMP_WORDS+=(""); COMP_CWORD=$((COMP_CWORD + 1)) ;; esac
  _ami_nats_bridge; echo "${COMPREPLY[*]}"; }
`,
		"zsh": `compdef() { :; }; compadd() { shift $(($# - 1)); print -rn -- ${(P)1}" "; }
source <(ami-nats-bridge completion zsh)
try() { words=(${(z)1}); [[ $1 == *" " ]] && words+=(""); CURRENT=$#words; _ami_nats_bridge; print; }
`,
		"fish": `ami-nats-bridge completion fish | source
function try; complete -C $argv[1] | string replace -r '\t.*' '' | string join ' '; true; end
`,
	} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("no %s here", shell)
			}
			installed(t)
			envtest.Set(t, "BRIDGE_SERVERS=pbx1,pbx2")
			// What bash is given is what stands behind the =, where it cuts words.
			value := map[string]string{"bash": "json", "zsh": "--output=json", "fish": "--output=json"}[shell]
			subject := map[string]string{"bash": `ami.status.\>`, "zsh": "ami.status.>", "fish": "ami.status.>"}[shell] // the others quote
			lines := [][2]string{
				{"ami-nats-bridge tail ami.st", subject},
				{"ami-nats-bridge ch", "check"}, {"ami-nats-bridge call pb", "pbx1 pbx2"}, {"ami-nats-bridge call pbx1 QueueSu", "QueueSummary"},
				{"ami-nats-bridge call pbx1 QueueStatus Mem", "Member="}, {"ami-nats-bridge tail --gre", "--grep"},
				{"ami-nats-bridge call pbx1 Ping --output=js", value},
			}
			for _, line := range lines {
				script += "try '" + line[0] + "'; echo ,\n"
			}
			args := map[string][]string{"bash": {"--norc", "-c"}, "zsh": {"-f", "-c"}, "fish": {"--no-config", "-c"}}[shell]
			out, err := exec.CommandContext(t.Context(), path, append(args, script)...).CombinedOutput()
			all := strings.Split(string(out), ",\n")
			if err != nil || len(all) != len(lines)+1 {
				t.Fatalf("%v: %s", err, out)
			}
			for i, line := range lines {
				if got := strings.Join(strings.Fields(all[i]), " "); got != line[1] {
					t.Errorf("%q completes to %q, want %q", line[0], got, line[1])
				}
			}
		})
	}
}

// The man pages are made of what --help is made of, and roff takes them.
func TestMan_HoldsTheHelp(t *testing.T) {
	groff, _ := exec.LookPath("groff")
	for _, command := range append([]string{""}, commands...) {
		page, _ := printed(t, 0, append([]string{"man"}, strings.Fields(command)...)...)
		for _, part := range []string{".TH AMI", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", ".SH EXIT STATUS"} {
			if !strings.Contains(page, part) {
				t.Errorf("man %s has no %s:\n%s", command, part, page)
			}
		}
		if command == "call" && (!strings.Contains(page, `\-\-requester=TEXT`) || !strings.Contains(page, "call any CoreStatus")) {
			t.Errorf("man call:\n%s", page)
		}
		if groff == "" {
			t.Log("no groff here: what it says of the pages is not known")
			continue
		}
		roff := exec.CommandContext(t.Context(), groff, "-man", "-Tascii", "-ww", "-z")
		roff.Stdin = strings.NewReader(page)
		if out, err := roff.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("man %s: %v\n%s", command, err, out)
		}
	}
	page, _ := printed(t, 0, "man")
	for _, command := range commands {
		if !strings.Contains(page, `ami\-nats\-bridge\-`+command) {
			t.Errorf("the page does not name %s", command)
		}
	}
}

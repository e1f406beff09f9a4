package docs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// callable is a bridge that the examples of docs/actions.md may call, and runs
// what calls it: a program, in a folder, with no settings of this machine's.
func callable(t *testing.T) (run func(dir, name string, args ...string) string) {
	t.Helper()
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true, Queues: []amisim.Queue{{Name: "support"}, {Name: "sales"}}})
	url := harness.NATS(t)
	pbx1, pbx2 := harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx2", addr)
	pbx1.ActionTimeouts = amiconn.Timeouts{{Pattern: "Originate", Value: time.Minute}}
	harness.Bridge(t, url, harness.ChaosConfig, pbx1, pbx2)
	config := t.TempDir()
	return func(dir, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Stderr = dir, t.Output()
		cmd.Env = append(os.Environ(), "NATS_URL="+url, "XDG_CONFIG_HOME="+config)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s %q: %v", name, args, err)
		}
		return string(out)
	}
}

// says wants that out has all of what is wanted, regular expressions of lines.
func says(t *testing.T, what, out string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !regexp.MustCompile("(?m)" + want).MatchString(out) {
			t.Errorf("%s does not say %s:\n%s", what, want, out)
		}
	}
}

func TestExamples_Go(t *testing.T) {
	says(t, "Go", callable(t)(harness.Root(t), "go", "run", "./docs/examples/go"),
		`^pbx1 2 <nil>$`, // the queue and the end of the list
		`^403 forbidden \(sent: no\): Login is always refused`, `^pbx1 Success <nil>$`, `^pbx2 Success <nil>$`, `\n<nil>\n\z`)
}

// tool is where make examples has put what an example needs.
func tool(t *testing.T, path ...string) string {
	t.Helper()
	dir := os.Getenv("BRIDGE_TEST_EXAMPLES")
	if dir == "" {
		t.Skip("BRIDGE_TEST_EXAMPLES is not set: make examples installs the tools and runs this")
	}
	file := filepath.Join(append([]string{dir}, path...)...)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) && path[0] != "nats" {
		t.Skipf("NOT RUN: this example's tool could not be installed: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestExamples_JavaScript(t *testing.T) {
	modules := tool(t, "javascript", "node_modules")
	says(t, "JavaScript", callable(t)(filepath.Dir(modules), "node", "main.mjs"),
		`^pbx1 2$`, `^403 forbidden no$`, `^pbx1 Success$`, `^pbx2 Success$`)
}

func TestExamples_Python(t *testing.T) {
	library := tool(t, "python", "nats")
	run := callable(t)
	t.Setenv("PYTHONPATH", filepath.Dir(library))
	says(t, "Python", run(harness.Root(t), "python3", "docs/examples/python/main.py"),
		`^pbx1 2$`, `^403 forbidden no$`, `^pbx1 Success$`, `^pbx2 Success$`)
}

// Each command of docs/actions.md does what the page says: first those that
// ask, then what discovery says of them.
func TestExamples_NatsCommands(t *testing.T) {
	nats := tool(t, "nats")
	run := callable(t)
	page := strings.ReplaceAll(harness.ReadText(t, harness.Root(t), "docs/actions.md"), "\\\n", "")
	commands := regexp.MustCompile(`(?m)^    nats (req|micro) .*$`).FindAllString(page, -1)
	ran := map[string]bool{}
	for _, kind := range []string{"nats req", "nats micro"} {
		for _, command := range commands {
			name, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
			if !strings.HasPrefix(name+" "+rest, kind) {
				continue
			}
			short := strings.Join(strings.Fields(rest)[:2], " ")
			wanted := shown[short]
			if wanted == nil {
				t.Errorf("nobody knows what %q is to say", short)
			}
			ran[short] = true
			says(t, short, run("", "sh", "-c", nats+" "+rest), wanted...)
		}
	}
	for short := range shown {
		if !ran[short] {
			t.Errorf("docs/actions.md has no command %s", short)
		}
	}
}

// shown is what the commands say, by their first words. pbx1 has had two
// requests by its name, any one, and all one, to two servers.
var shown = map[string][]string{
	"req ami.actions.pbx1.QueueStatus": {`"Event":"QueueParams","Queue":"support"`, `"Event":"QueueStatusComplete"`},
	"req ami.actions.any.CoreStatus":   {`"response":"Success"`},
	"req ami.actions.all.CoreStatus":   {`"server":"pbx1".*"response":"Success"`, `"server":"pbx2".*"response":"Success"`},
	"req ami.actions.pbx1.Originate":   {`"Event":"OriginateResponse"`},
	"micro ls":                         {`ami-bridge .* 0\.0\.0 `},
	"micro info": {`ami\.actions\.pbx1\.\*`, `kind: +server`, `servers: +pbx1,pbx2`, `request_schema: +\{"\$schema"`,
		`"answered": 2,`, `"p99": [0-9.]+`},
	"micro stats": {
		`pbx1 +│ 2 +│ q +│ 0 +│ [1-9][0-9.]*m?s +│ [1-9][0-9.]*m?s +│$`, // the Originate took its 50 ms
		`pbx2 +│ 0 +│`, `any +│ 1 +│ q +│ 0 +│ [1-9]`, `all +│ 2 +│ +│ 0 +│ [1-9]`,
	},
}

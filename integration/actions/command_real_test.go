package actions

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// A Command's output over a frame's limit and a message's: a plain request is told
// to ask for a stream, a stream and `call --stream` have all that a direct session
// reads, line by line.
func TestReal_CommandOfAnyLengthAsADirectSession(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		binary := harness.BuildBridge(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*harness.Patience)
		defer cancel()
		addDialplan(t, ctx, a)
		want := directOutput(t, ctx, a, "dialplan show")
		if size := len(strings.Join(want, "\n")); size < 1200<<10 {
			t.Fatalf("the output is of %d bytes only", size)
		}
		for _, limit := range []setting.Bytes{0, 8 * setting.MiB} {
			pbx1 := harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret)
			why := "BRIDGE_AMI_MAX_FRAME_BYTES"
			if limit > 0 {
				pbx1.MaxFrameBytes, why = limit, "Ami-Reply: stream"
			}
			r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.ActionsAllow = setting.Globs{"Command"} }, pbx1)
			plain := r.Call("pbx1", "Command", `{"Command":"dialplan show"}`)
			harness.Fails(t, plain, "reply_too_large", "yes")
			if !strings.Contains(plain.Error.Message, why) || !strings.Contains(plain.Error.Message, "stream") {
				t.Errorf("the error does not say what to do: %s", plain.Error.Message)
			}
			var got []string
			parts, last := harness.Streamed(r, r.Ask("pbx1", "Command", `{"Command":"dialplan show"}`, "Ami-Reply", "stream"), func(part map[string]any) {
				for _, line := range part["output"].([]any) {
					got = append(got, line.(string))
				}
			})
			harness.Succeeds(t, last)
			sameOutput(t, got, want)
			t.Logf("Asterisk %s, limit %v: %d lines in %d parts", a.Version(), pbx1.MaxFrameBytes, len(got), parts)
			call := exec.CommandContext(ctx, binary, "call", "pbx1", "Command", "Command=dialplan show", "--stream")
			call.Env = append(os.Environ(), "BRIDGE_NATS_URL="+r.Config.NATS.URL)
			var stderr bytes.Buffer
			call.Stderr = &stderr
			out, err := call.Output()
			if err != nil {
				t.Fatalf("call --stream: %v\n%s", err, stderr.Bytes())
			}
			sameOutput(t, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), want)
			harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
		}
	})
}

// addDialplan makes the dialplan long.
func addDialplan(t *testing.T, ctx context.Context, a *realasterisk.Instance) {
	t.Helper()
	_, home := a.Home()
	f, err := os.OpenFile(filepath.Join(home, "etc/extensions.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for i := range 4000 {
		fmt.Fprintf(&text, "[generated-%04d]\n", i)
		for n := 1; n <= 3; n++ {
			fmt.Fprintf(&text, "exten => s,%d,NoOp(%04d.%d %s)\n", n, i, n, strings.Repeat("x: y ", 10))
		}
	}
	if _, err := f.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	directOutput(t, ctx, a, "dialplan reload")
}

// directOutput is what a session of its own reads as a Command's output.
func directOutput(t *testing.T, ctx context.Context, a *realasterisk.Instance, command string) (lines []string) {
	t.Helper()
	direct, err := a.Actions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	frames, err := direct.Do(ctx, "Action: Command", "Command: "+command)
	if err != nil || len(frames) != 1 || frames[0].Get("Response") != "Success" {
		t.Fatalf("%s: %d frames, %v", command, len(frames), err)
	}
	for _, line := range frames[0].Lines() {
		if text, ok := strings.CutPrefix(line, "Output: "); ok {
			lines = append(lines, text)
		}
	}
	return lines
}

// sameOutput wants the lines of a direct session, but for those that are no UTF-8.
func sameOutput(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d lines, a direct session has %d", len(got), len(want))
		return
	}
	for i, line := range want {
		if utf8.ValidString(line) && got[i] != line {
			t.Fatalf("line %d is %q, a direct session has %q", i, got[i], line)
		}
	}
}

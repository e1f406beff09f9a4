package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/sys/unix"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// bridgeAt is the HTTP server of a bridge with one server, which is in that state.
func bridgeAt(t *testing.T, state string) string {
	t.Helper()
	m, now := view.New(view.Options{}), time.Now()
	tell := func(subject, msg string) {
		m.Status(subject, fmt.Appendf(nil, `{"node":"b1","at":%q,"since":%[1]q,%s}`, now.UTC().Format(time.RFC3339Nano), msg), now)
	}
	tell("ami.nodes.b1", `"servers":["pbx1"],"nats":"CONNECTED"`)
	if state != "silent" {
		tell("ami.status.pbx1.connection", fmt.Sprintf(`"role":"event","to":%q,"reason":"auth","error":"x","sessions":{"event":%[1]q}`, state))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewEncoder(w).Encode(m.Snapshot(time.Now(), view.NumbersNone)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// ran is what a command printed, and its exit code.
func ran(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(append([]string{"ami-nats-bridge"}, args...), stdio{"ami-nats-bridge", &o, &e})
	return code, o.String(), e.String()
}

// The exit code says how all is; without a terminal top is the same.
func TestStatus_ExitCodes(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for state, want := range map[string]struct {
		code int
		text string
	}{
		"up": {0, "pbx1 is well"}, "waiting": {1, "LOGIN REFUSED"}, "silent": {2, "Nothing is known of 1 server"},
	} {
		url := bridgeAt(t, state)
		for _, command := range []string{"status", "top"} {
			code, out, errs := ran(command, "--http", url)
			if code != want.code || !strings.Contains(out, want.text) || errs != "" || strings.Contains(out, "\x1b") {
				t.Errorf("%s of %s: %d, want %d\n%s%s", command, state, code, want.code, out, errs)
			}
		}
	}
}

// -o json is the schema of /status.json, on stdout alone.
func TestStatus_JSON(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schemas/status.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := ran("status", "-o", "json", "--http", bridgeAt(t, "waiting"))
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if err := schema.Validate(doc); err != nil || code != 1 || errs != "" {
		t.Errorf("%d, %q: %v", code, errs, err)
	}
}

// What nobody answers, and wrong usage, is 2, and stdout stays empty.
func TestStatus_Unreachable(t *testing.T) {
	t.Setenv("BRIDGE_HTTP_ADDR", "127.0.0.1:1")
	for _, args := range [][]string{
		{"--http", "127.0.0.1:1"}, {"--http", "ftp://x"}, {"--nats", "nats://127.0.0.1:1"}, {"--nats", "no url"}, {"-o", "xml"}, {"--nonsense"},
		{"--http", "127.0.0.1:1", "--nats", "nats://127.0.0.1:1"}, {"--http", "--context", "x"},
	} {
		code, out, errs := ran(append([]string{"status"}, args...)...)
		if code != 2 || out != "" || errs == "" {
			t.Errorf("status %q: %d, %q, %q", args, code, out, errs)
		}
	}
	if _, _, errs := ran("status", "--http", "http://me:s3cret@127.0.0.1:1"); strings.Contains(errs, "s3cret") {
		t.Errorf("a password is in %s", errs)
	}
}

// With NATS it is read from there, whatever the bridge itself would say.
func TestStatus_NATS(t *testing.T) {
	url := natstest.Serve(t, nil).ClientURL()
	nc := dialNATS(t, url)
	t.Setenv("BRIDGE_STATUS_INTERVAL", "1s")
	t.Setenv("BRIDGE_HTTP_ADDR", "")
	var group sync.WaitGroup
	defer group.Wait()
	stop := make(chan struct{})
	defer close(stop)
	group.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			at := time.Now().UTC().Format(time.RFC3339Nano)
			_ = nc.Publish("ami.status.pbx7.connection", fmt.Appendf(nil, `{"node":"b1","at":%q,"since":%[1]q,"role":"event","to":"up","sessions":{"event":"up"}}`, at))
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	})
	if code, out, errs := ran("status", "--nats", url); code != 0 || !strings.Contains(out, "pbx7") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// In a terminal top draws, and restores it at the end.
func TestTop_Terminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("LC_ALL", "C.UTF-8")
	master, terminal := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	url, in := bridgeAt(t, "waiting"), os.Stdin
	os.Stdin = terminal
	defer func() { os.Stdin = in }()
	done := make(chan int, 1)
	go func() {
		done <- run([]string{"x", "top", "--http", url}, stdio{"x", terminal, terminal})
		fmt.Fprint(terminal, "it has ended")
	}()
	var seen bytes.Buffer
	read := func(text string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for !strings.Contains(seen.String(), text) {
			n, err := master.Read(buffer)
			if err != nil || strings.Contains(seen.String(), "it has ended") {
				t.Fatalf("never %q: %v in %q", text, err, seen.String())
			}
			seen.Write(buffer[:n])
		}
	}
	read("\x1b[?1049h")
	read("LOGIN REFUSED")
	fmt.Fprint(master, "?")
	read("Ctrl-C")
	fmt.Fprint(master, "q")
	read("\x1b[?1049l")
	read("it has ended")
	if code := <-done; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The events of a server are shown in top as tail shows them, and filtered as it filters.
func TestTop_TapsAsTailDoes(t *testing.T) {
	how, err := tapping("ami")("pbx1", "Hangup, Queue*|Dial*")
	if err != nil || how.Subject != "ami.events.pbx1.*" {
		t.Fatalf("%+v, %v", how, err)
	}
	see := func(name, body string) (string, bool) {
		e, ok := how.Event(&nats.Msg{Subject: "ami.events.pbx1." + name, Data: []byte(body), Header: nats.Header{"Ami-Time": {"2026-11-29T14:00:01.5Z"}}})
		return fmt.Sprintf("%s|%s|%v|%d", e.Name, e.Says, e.Gap, len(e.Fields)), ok
	}
	for _, test := range []struct {
		name, body, want string
		shown            bool
	}{
		{"Hangup", `{"Event":"Hangup","Channel":"PJSIP/\u001b[2Ja","Cause":"16","Cause-txt":"Normal Clearing","Exten":""}`, `Hangup|Channel=PJSIP/`, true},
		{"QueueCallerJoin", `{"Event":"QueueCallerJoin","Queue":"support","Position":"2"}`, `QueueCallerJoin|`, true},
		{"VarSet", `{"Event":"VarSet"}`, "", false},
		{"Hangup", `no JSON`, "Hangup|no JSON|false|0", true},
		{"Gap", `{"Event":"Gap","From":"2026-11-29T14:00:00Z","To":"2026-11-29T14:00:01Z","Reason":"shed","Lost":"7"}`, "GAP|shed, 7 lost", true},
	} {
		got, shown := see(test.name, test.body)
		if shown != test.shown || shown && !strings.HasPrefix(got, test.want) || strings.Contains(got, "\x1b") {
			t.Errorf("%s %s: %q %v", test.name, test.body, got, shown)
		}
	}
	if how, err := tapping("ami")("pbx1", ""); err != nil || how.Note != "" {
		t.Errorf("without a filter: %+v, %v", how, err)
	}
	if how, err := tapping("ami")("pbx1", "Hangupp"); err != nil || !strings.Contains(how.Note, "Hangup") {
		t.Errorf("of a name that nobody has it says %+v, %v", how, err)
	}
	if _, err := tapping("ami")("pbx1", "["); err == nil {
		t.Error("what is no pattern is taken")
	}
}

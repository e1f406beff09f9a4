package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// JSON goes to a terminal too, and encoders leave U+009B as it is.
func TestOutput_JSONHasNothingThatDrivesATerminal(t *testing.T) {
	a := newArchive(t)
	a.event("pbx1", time.Now(), "Event", "Newchannel", "CallerIDNum", "100", "Exten", "\u009b31m<", "Uniqueid", "1.1", "Linkedid", "1.1")
	a.record("pbx1", "Ping", time.Now(), `"phase":"outcome","node":"\u009b31m<"`)
	for args, code := range map[string]int{
		"replay -o json": 0, "replay --find 100 -o json": 0, "audit -o json": 0, "audit --verify -o json": 1,
	} {
		out, _ := printed(t, code, strings.Fields(args)...)
		if strings.Contains(out, "\u009b") || !strings.Contains(out, `\u009b31m<`) {
			t.Errorf("%s: %q", args, out)
		}
	}
}

// Who answers over HTTP may be no bridge, and say anything.
func TestOutput_JSONOfAStranger(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{\"at\":\"2026-01-02T14:00:00Z\",\"headline\":{\"text\":\"\u009b31m\"}}")
	}))
	defer stranger.Close()
	if _, out, _ := ran("status", "-o", "json", "--http", stranger.URL); strings.Contains(out, "\u009b") || !strings.Contains(out, `\u009b31m`) {
		t.Errorf("%q", out)
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What could not be printed is an error, whatever came before it.
func TestOutput_FullDisk(t *testing.T) {
	var errs strings.Builder
	r := replies{c: &callCmd{Server: "pbx1", outputFlag: outputFlag{"json"}}, std: stdio{out: fullDisk{}, err: io.Discard}}
	if err := r.reply(&nats.Msg{Data: []byte(`{"server":"pbx1"}`)}, false); err == nil {
		t.Error("call -o json: no error")
	}
	stateBucket(t)
	for _, args := range []string{"--version", "state pbx9 --purge --confirm pbx9", "state -o json"} {
		if code := run(append([]string{"x"}, strings.Fields(args)...), stdio{"x", fullDisk{}, &errs}); code == 0 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: %d, %s", args, code, &errs)
		}
		errs.Reset()
	}
}

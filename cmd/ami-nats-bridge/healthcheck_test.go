package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// bridgeHTTP is the HTTP server of a bridge that answers so.
func bridgeHTTP(t *testing.T, healthz, readyz int, body string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(healthz) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(readyz); fmt.Fprint(w, body) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// It is 0 if the bridge is well, 1 if it says that it is not, and why, 2 if it says nothing. A
// bridge that is not ready is well: it must not be restarted for it.
func TestHealthcheck(t *testing.T) {
	const reasons = `{"ready":false,"reasons":["NATS events is RECONNECTING","pbx1: down: \u001b[2JNothing listens"]}`
	for _, test := range []struct {
		healthz, readyz int
		body            string
		args            []string
		want            int
		says            string
	}{
		{200, 503, reasons, nil, 0, "ok\n"},
		{200, 503, reasons, []string{"--ready"}, 1, "NATS events is RECONNECTING; pbx1: down: "},
		{200, 200, "{}", []string{"--ready"}, 0, "ok\n"},
		{200, 503, "not JSON", []string{"--ready"}, 1, "/readyz answers 503"},
		{421, 200, "{}", nil, 1, "/healthz answers 421"},
	} {
		t.Setenv("BRIDGE_HTTP_ADDR", bridgeHTTP(t, test.healthz, test.readyz, test.body))
		code, out, errs := ran(append([]string{"healthcheck"}, test.args...)...)
		if code != test.want || !strings.Contains(out+errs, test.says) || strings.Contains(errs, "\x1b") || (code == 0) != (errs == "") {
			t.Errorf("%+v: %d %q %q", test, code, out, errs)
		}
	}
	for addr, args := range map[string][]string{"127.0.0.1:1": nil, "": nil, "no address": nil, "127.0.0.1:2": {"--http", "ftp://x"}, "127.0.0.1:3": {"--nonsense"}} {
		t.Setenv("BRIDGE_HTTP_ADDR", addr)
		if code, out, errs := ran(append([]string{"healthcheck"}, args...)...); code != 2 || out != "" || errs == "" {
			t.Errorf("%q %q: %d %q %q", addr, args, code, out, errs)
		}
	}
}

// --http without a value asks at BRIDGE_HTTP_ADDR, whatever follows; with one, there.
func TestStatus_HTTPWithoutAValue(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	well, ill := strings.TrimPrefix(bridgeAt(t, "up"), "http://"), bridgeAt(t, "waiting")
	t.Setenv("BRIDGE_HTTP_ADDR", well)
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"--http"}, 0}, {[]string{"--http", "-o", "json"}, 0}, {[]string{"-o", "json", "--http"}, 0}, {[]string{"--http", ill}, 1}, {[]string{"--http=" + ill}, 1},
	} {
		for _, command := range []string{"status", "top"} {
			if command == "top" && strings.Contains(strings.Join(test.args, " "), "json") {
				continue
			}
			if code, out, errs := ran(append([]string{command}, test.args...)...); code != test.want || errs != "" || !strings.Contains(out, "pbx1") {
				t.Errorf("%s %q: %d\n%s%s", command, test.args, code, out, errs)
			}
		}
	}
	t.Setenv("BRIDGE_HTTP_ADDR", "")
	if code, _, errs := ran("status", "--http"); code != 2 || !strings.Contains(errs, "BRIDGE_HTTP_ADDR is empty") {
		t.Errorf("without an address: %d %q", code, errs)
	}
}

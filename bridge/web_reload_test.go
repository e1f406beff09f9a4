package bridge

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// visit is what the page answers to who gives that password, and what follows it.
func (r *running) visit(path, password string) *http.Response {
	r.t.Helper()
	natstest.Within(r.t, "the page is served", func() bool { return r.page.Load() != nil })
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.page.Load().at.String()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.SetBasicAuth("anybody", password)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// reload is what SIGHUP does with settings that change has changed.
func (r *running) reload(change func(*config.Config)) {
	r.t.Helper()
	cfg := r.cfg
	cfg.Servers = nil
	for _, s := range r.servers.here() {
		cfg.Servers = append(cfg.Servers, s.cfg)
	}
	change(&cfg)
	if _, err := r.Reload(cfg); err != nil {
		r.t.Fatal(err)
	}
}

// Another password of the page is in force at once, without a restart, and ends the pages that
// were opened with the one before; so does another one in the same file.
func TestReload_TakesUpThePagesPassword(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, Deps{}, func(c *config.Config) { c.HTTPAddr, c.WebPassword = "127.0.0.1:0", "first" }, nil)
	in := func(password string, rest ...string) {
		t.Helper()
		if code := r.visit("/", password).StatusCode; code != http.StatusOK {
			t.Errorf("with %q: %d", password, code)
		}
		for _, other := range rest {
			if code := r.visit("/", other).StatusCode; code != http.StatusUnauthorized {
				t.Errorf("with %q: %d", other, code)
			}
		}
	}
	in("first", "second", "")
	live := r.visit("/live", "first")
	r.reload(func(c *config.Config) { c.WebPassword = "second" })
	in("second", "first", "")
	if _, err := io.Copy(io.Discard, live.Body); err != nil { // it would go on for ever
		t.Errorf("the page that was open: %v", err)
	}
	write("third\n")
	fromFile := func(c *config.Config) { c.WebPassword, c.WebPasswordFile = setting.Secret(""), file }
	r.reload(fromFile)
	in("third", "second", "")
	write("fourth\n")
	r.reload(fromFile)
	in("fourth", "third")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.reload(fromFile)
	in("fourth", "") // what cannot be read opens nothing
	r.reload(func(c *config.Config) { c.Web, c.WebPassword = config.WebOff, "" })
	if code := r.visit("/", "fourth").StatusCode; code != http.StatusNotFound {
		t.Errorf("off: %d", code)
	}
	r.reload(func(c *config.Config) { c.WebPassword = "" })
	in("")
}

//go:build unix

package status

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// pictured is a bridge whose /status.json is asked.
func pictured(t *testing.T, r *harness.Running) func() view.Snapshot {
	schema := harness.Schemas(t)["status"]
	return func() (snap view.Snapshot) {
		t.Helper()
		code, text := r.Get("/status.json")
		if err := json.Unmarshal([]byte(text), &snap); err != nil || code != http.StatusOK {
			t.Fatalf("%d, %v: %.300s", code, err, text)
		}
		if err := schema.Validate(any(harness.Document(t, []byte(text)))); err != nil {
			t.Fatal(err)
		}
		return snap
	}
}

// The bridge itself says how all is, as its schema has it, and needs no NATS for it: each
// server by its state, its reason and its numbers, and NATS as long as it is away. What
// /readyz gives for reasons are the same words.
func TestStatusJSON_NeedsNoNATS(t *testing.T) {
	t.Parallel()
	nats := harness.StartNATS(t)
	one, oneAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	two, twoAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, nats.URL, func(c *config.Config) { harness.ChaosConfig(c); c.HTTPAddr = harness.Addr(t) },
		harness.ChaosServer("one", oneAddr), harness.ChaosServer("two", twoAddr))
	picture := pictured(t, r)
	server := func(name string) view.Server {
		t.Helper()
		snap := picture()
		i := slices.IndexFunc(snap.Servers, func(s view.Server) bool { return s.Name == name })
		if i < 0 || len(snap.Servers) != 2 || snap.Ignored != 0 {
			t.Fatalf("%d servers without %s, %d ignored", len(snap.Servers), name, snap.Ignored)
		}
		return snap.Servers[i]
	}
	reasons := func() []string {
		t.Helper()
		_, body := r.Get("/readyz")
		var ready struct{ Reasons []string }
		if err := json.Unmarshal([]byte(body), &ready); err != nil || ready.Reasons == nil {
			t.Fatalf("%v: %s", err, body)
		}
		return ready.Reasons
	}
	harness.Eventually(t, "all are well", func() bool { return picture().Headline.Text == "All 2 servers are well" })
	harness.Eventually(t, "/readyz has no reason either", func() bool { return len(reasons()) == 0 })
	if s := server("one"); len(s.Sessions) != 2 || s.Buffers == nil || s.Account == nil || s.Rates != nil && s.Rates.Actions == nil {
		t.Errorf("of a well server it says %+v", s)
	}

	two.Always("Login", amisim.Deny("Authentication failed"))
	two.Kick()
	harness.Eventually(t, "two is refused", func() bool { return server("two").State == view.StateRefused })
	s := server("two")
	if !strings.Contains(s.Why, "refuses the user") || s.Losing == nil {
		t.Errorf("it says %q; losing %v", s.Why, s.Losing)
	}
	want := []string{"two: login refused: " + s.Why}
	harness.Eventually(t, fmt.Sprintf("/readyz has the reason %q", want), func() bool { return slices.Equal(reasons(), want) })

	nats.Stop()
	harness.Eventually(t, "NATS is down", func() bool { return !picture().NATS.Up })
	if snap := picture(); !strings.HasPrefix(snap.Headline.Text, "NATS is down") || snap.Headline.State != view.StateDown {
		t.Errorf("the headline is %+v", snap.Headline)
	}
	harness.Eventually(t, "/readyz has the reasons", func() bool { // the one connection may be lost before the other
		got := fmt.Sprint(reasons())
		return strings.Contains(got, "NATS events is ") && strings.Contains(got, "one: in trouble: NATS takes no events")
	})
	before := server("one").Account.Received
	one.Emit("Event", "Cdr", "Source", "x")
	harness.Eventually(t, "numbers go on", func() bool { return server("one").Account.Received > before })
	nats.Start()
	harness.Eventually(t, "NATS is back", func() bool { return picture().NATS.Up })
}

// While NATS has never been reached the bridge says so, and that it is logged in nowhere.
func TestStatusJSON_BeforeNATSWasReached(t *testing.T) {
	t.Parallel()
	_, addr := harness.Sim(t, amisim.Config{})
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL, cfg.HTTPAddr, cfg.Servers = "b1", "nats://"+harness.Addr(t), harness.Addr(t), []config.ServerConfig{harness.ChaosServer("one", addr)}
	b, err := bridge.New(cfg, bridge.Deps{Version: "0.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		if err := b.Run(ctx); err == nil || !strings.Contains(err.Error(), "NATS was never reached") {
			t.Errorf("the bridge ended with %v", err)
		}
	})
	harness.Eventually(t, "it listens", func() bool {
		c, err := net.Dial("tcp", cfg.HTTPAddr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	r := &harness.Running{T: t, Config: cfg}
	picture := pictured(t, r)
	snap := picture()
	if snap.NATS.Up || !strings.HasPrefix(snap.Headline.Text, "NATS is down") || !strings.Contains(snap.Headline.More, "No Asterisk is connected") {
		t.Errorf("NATS %+v, %+v", snap.NATS, snap.Headline)
	}
	if len(snap.Servers) != 1 || snap.Servers[0].State != view.StateDown || snap.Servers[0].Losing == nil {
		t.Errorf("servers %+v", snap.Servers)
	}
	if code, body := r.Readyz(); code != http.StatusServiceUnavailable || body.Ready {
		t.Errorf("/readyz is %d", code)
	}
}

// At a loopback address only who asks for this machine is answered: a website that makes
// its name lead here is not.
func TestHTTP_AnswersThisMachineOnly(t *testing.T) {
	t.Parallel()
	_, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.HTTPAddr = harness.Addr(t) }, harness.ChaosServer("one", addr))
	client := http.Client{Timeout: time.Minute}
	for host, want := range map[string]int{
		r.Config.HTTPAddr: 200, "localhost": 200, "LOCALHOST:9108": 200, "[::1]:9108": 200, "[::1]": 200, "127.0.0.1": 200,
		"evil.example": 421, "evil.example:9108": 421, "localhost.evil.example": 421, "127.0.0.1.nip.io": 421, "10.0.0.1": 421, "0.0.0.0:9108": 421, "[::]": 421,
		"localhost.": 421, "127.0.0.1@evil.example": 421,
	} {
		for _, path := range []string{"/status.json", "/metrics", "/readyz", "/healthz", "/nothing"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Config.HTTPAddr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if want := map[bool]int{true: 404, false: want}[path == "/nothing" && want == 200]; answer.StatusCode != want {
				t.Errorf("%s of %s is %d, want %d", path, host, answer.StatusCode, want)
			}
		}
	}
}

// The page of a bridge has its server, its queues and its calls, with numbers as far as they are to be shown, and is there when
// NATS is not. With a password it is there for who knows it.
func TestPage_OfABridge(t *testing.T) {
	t.Parallel()
	nats := harness.StartNATS(t)
	sim, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, nats.URL, func(c *config.Config) {
		harness.ChaosConfig(c)
		c.HTTPAddr, c.WebPassword = harness.Addr(t), "open sesame"
	}, harness.ChaosServer("one", addr))
	page := func(path, password string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Config.HTTPAddr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("me", password)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	if code, body := page("/", "wrong"); code != http.StatusUnauthorized || strings.Contains(body, "one") {
		t.Errorf("without the password it is %d %s", code, body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { _ = sim.RunTraffic(ctx, amisim.Traffic{CallsPerSecond: 20, Seed: 7}) })
	number := regexp.MustCompile(`<td>…\d{4}</td>`)
	harness.Eventually(t, "calls are on the page", func() bool {
		code, body := page("/?view=calls", "open sesame")
		_, floor := page("/?view=floor", "open sesame")
		return code == http.StatusOK && number.MatchString(body) && strings.Contains(floor, "support")
	})
	if _, body := page("/?view=calls", "open sesame"); regexp.MustCompile(`\+\d{7,}`).MatchString(body) {
		t.Error("a whole number is on the page")
	}
	code, body := r.Get("/status.json")
	if code != http.StatusOK || strings.Contains(body, `"number": "…`) || !strings.Contains(body, `"support"`) {
		t.Errorf("the status is %d: %.300s", code, body)
	}
	nats.Stop()
	harness.Eventually(t, "it says that NATS is down", func() bool {
		code, body := page("/", "open sesame")
		return code == http.StatusOK && strings.Contains(body, "NATS is down")
	})
	if code, body := page("/?view=floor", "open sesame"); code != http.StatusOK || !strings.Contains(body, "support") {
		t.Errorf("without NATS the floor is %d", code)
	}
	nats.Start()
	harness.Eventually(t, "NATS is back", func() bool { _, body := page("/", "open sesame"); return !strings.Contains(body, "NATS is down") })
}

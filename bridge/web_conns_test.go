package bridge

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Who holds connections, and says nothing or does not end, keeps nobody else from being answered, and only as many of them
// as there is room for.
func TestHTTP_AnswersBesideConnectionsThatAreHeld(t *testing.T) {
	t.Parallel()
	r := run(t, Deps{}, func(c *config.Config) { c.HTTPAddr, c.Web = "127.0.0.1:0", config.WebOff }, nil)
	natstest.Within(t, "it is served", func() bool { return r.page.Load() != nil })
	addr := r.page.Load().at.String()
	const each, room = 400, 512
	var first net.Conn
	for _, says := range []string{"", "GET /healthz HTTP/1.1\r\nHost: local"} {
		for range each {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				_, err = io.WriteString(c, says)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if first == nil {
				first = c
			}
		}
	}
	for _, path := range []string{"/healthz", "/metrics"} {
		if code := r.visit(path, "").StatusCode; code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	if n := r.page.Load().Ended(); n <= 2*each-room {
		t.Errorf("of %d connections %d were ended", 2*each, n)
	}
	_ = first.SetReadDeadline(time.Now().Add(natstest.Patience))
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first is there: %v", err)
	}
}

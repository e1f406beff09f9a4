package bridge

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// The page shows a server's events as they come, but for those that are filtered, and a Gap as it is put into
// the stream; of a server that is gone it shows none.
func TestPage_ShowsEvents(t *testing.T) {
	t.Parallel()
	r := run(t, Deps{}, func(c *config.Config) {
		c.HTTPAddr = "127.0.0.1:0"
		c.Servers[0].EventsDeny = []string{"VarSet"}
	}, nil)
	if answer := r.visit("/tap?server=pbx2", ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("of a server that is not there: %s", answer.Status)
	}
	answer := r.visit("/tap?server=pbx1", "")
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	r.sims["pbx1"].Emit("Event", "VarSet", "Variable", "A", "Value", "B")
	r.sims["pbx1"].Emit("Event", "UserEvent", "UserEvent", "Score", "Points", "12")
	r.servers.here()[0].tellGap(outbox.Gap{Reason: "overflow", Lost: 7})
	said := ""
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() && !(strings.Contains(said, "Points=12") && strings.Contains(said, "Lost=7")) {
		said += lines.Text()
	}
	if strings.Contains(said, "VarSet") || !strings.Contains(said, `"Gap":true`) {
		t.Errorf("%s, %v", said, lines.Err())
	}
	answer.Body.Close()
	natstest.Within(t, "nobody looks any more", func() bool {
		r.sims["pbx1"].Emit("Event", "UserEvent", "UserEvent", "Score", "Points", "13") // a write finds it out
		return !r.tapOf("pbx1").IsOpen()
	})
}

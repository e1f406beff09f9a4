package bridge

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// With AUDIT=strict nobody can make intents of what cannot be sent: while a
// server is away they are no more than refusals are. A bridge that stops tells of
// those that it has counted.
func TestRefusals_StrictIntentsOfAServerThatIsAway(t *testing.T) {
	a := run(t, Deps{}, func(c *config.Config) { c.Audit = config.AuditStrict; c.Servers[0].Addr = "127.0.0.1:1" }, nil, "pbx1", "pbx2")
	const asked = 500
	a.ask(asked, "pbx1", "CoreStatus", "")
	a.stop()
	_, js := natstest.Client(t, a.nc.ConnectedUrl())
	stream, err := js.Stream(t.Context(), streams.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	intents, outcomes, counted := 0, 0, 0
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Phase string
			Count int
		}
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		counted += r.Count
		switch r.Phase {
		case "intent":
			intents++
		case "outcome":
			outcomes++
		}
	}
	if intents > asked/2 || intents == 0 || outcomes < intents || counted == 0 || outcomes+counted != asked {
		t.Errorf("of %d requests %d intents, %d outcomes, %d counted", asked, intents, outcomes, counted)
	}
}

// A bridge that runs tells of them each minute, here each 50 ms.
func TestRefusals_AreToldOfWhileTheBridgeRuns(t *testing.T) {
	a := run(t, Deps{}, nil, func(b *Bridge) {
		if b.refusalsEvery != time.Minute {
			t.Errorf("each %v", b.refusalsEvery)
		}
		b.refusalsEvery = 50 * time.Millisecond
	})
	records, err := a.nc.SubscribeSync("ami.audit.pbx1.Login")
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	a.ask(100, "pbx1", "Login", "")
	for own, counted := 0, 0; own+counted < 100; {
		m, err := records.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatalf("%d records, %d counted, %v", own, counted, err)
		}
		var r struct{ Count int }
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		if counted += r.Count; r.Count == 0 {
			own++
		}
	}
}

package bridge

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/status"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// actionsReport is what became of the requests for s.
func (s *server) actionsReport(now time.Time) status.ActionsReport {
	ends := s.target.Ends()
	r := status.ActionsReport{Answered: ends["answered"], Failed: ends["failed"], RefusedReport: refusedReport(s.target.Refused())}
	if p95 := s.target.Recent(now); p95 > 0 {
		r.P95MS = new(clock.Millis(p95))
	}
	return r
}

// refusedReport is r as it is told.
func refusedReport(r actions.Refusals) status.RefusedReport {
	report := status.RefusedReport{Refused: r.Kinds}
	if last := r.Last; last != nil {
		report.Last = &status.Refusal{At: clock.Stamp(last.At), Action: last.Action, Kind: last.Kind}
	}
	return report
}

// show tells the model how this process and its servers stand at now, by the messages
// that would be published. It is for one goroutine at a time.
func (b *Bridge) show(now time.Time, model *view.Model) {
	tell := func(subject string, msg any) {
		body, err := json.Marshal(msg)
		if err != nil {
			b.log.Error("status not encoded", zap.String("subject", subject), zap.Error(err))
			return
		}
		model.Status(subject, body, now)
	}
	tell(b.nodeSubject(), b.nodeStatus(now))
	model.Peers(b.peers(), now)
	for _, s := range b.servers.here() {
		s.status.Show(now, new(s.link.Status()), tell)
	}
}

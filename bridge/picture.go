package bridge

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// show tells the model how this process and its servers stand at now, by the messages
// that would be published. It is for one goroutine at a time.
func (b *Bridge) show(now time.Time, model *view.Model) {
	tell := func(subject string, msg any) {
		body, err := json.Marshal(msg)
		if err != nil {
			b.log.Error("status not encoded", zap.String("subject", subject), zap.Error(err))
			return
		}
		model.Status(subject, body, now, false)
	}
	tell(b.nodeSubject(), b.nodeStatus(now))
	model.Peers(b.peers(), now)
	for _, s := range b.servers.here() {
		s.status.Show(now, new(s.link.Status()), tell)
		ended, p95 := s.target.Recent(now)
		model.Actions(s.cfg.Name, view.Actions{Ended: ended, P95: p95}, now)
	}
}

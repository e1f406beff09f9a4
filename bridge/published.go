package bridge

import "github.com/ami-nats-bridge/ami-nats-bridge/bridge/beside"

// published are the servers that this bridge publishes now, or is to once it knows again that
// no other bridge leads them.
func (b *Bridge) published() (all []beside.Server) {
	for _, s := range b.servers.here() {
		if s.shared != nil {
			if standing := s.shared.Standing(); standing == nil || standing.Leader != b.cfg.Node {
				continue
			}
		}
		all = append(all, beside.Server{Name: s.cfg.Name, Events: s.subjects.All(), Outbox: s.outbox})
	}
	return all
}

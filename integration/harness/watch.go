package harness

// What may be held beside what a buffer's limit bounds: as many Gaps of 224 bytes
// as a server may have in flight, and some that wait, in an outbox; Ping and
// Logoff in a write buffer.
const GapsBytes, pingsBytes = (1024 + 64) * 224, 4 << 10

// holds reports whether for each server of a bridge all holds that has to at any
// moment, whatever a test does to it: the law of conservation, as Prometheus is
// told it, and the bounds of its buffers.
func (r *Running) holds() (ok bool) {
	servers := r.By("server")
	ok = servers != nil
	for name, m := range servers {
		if received, accounted := m["events_received_total"], Accounted(m); received != accounted {
			r.T.Errorf("%s: the law does not hold: %v received, %v accounted for: %v", name, received, accounted, m)
			ok = false
		}
		for what, limit := range map[string]float64{
			"outbox_bytes": m["outbox_capacity_bytes"] + GapsBytes, "outbox_high_water_bytes": m["outbox_capacity_bytes"] + GapsBytes,
			"write_buffer_bytes": m["write_buffer_capacity_bytes"] + pingsBytes, "actions_pending": m["actions_pending_limit"],
		} {
			if m[what] > limit {
				r.T.Errorf("%s: %s is %v, over its bound of %v", name, what, m[what], limit)
				ok = false
			}
		}
	}
	return ok
}

package streams

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// room is what the account, and the servers, have room for, as far as JetStream tells the bridge.
// Its zero value knows nothing.
type room struct {
	info  *jetstream.AccountInfo // as it was before anything was made
	alone bool                   // the nats-server is in no cluster, nor is it a leaf of one that has JetStream, in a domain
	made  []jetstream.StreamConfig
}

// lacks returns why there is no room for want, in a file, and what to do; nil if nothing is known that keeps it from being made.
func (r *room) lacks(want jetstream.StreamConfig) error {
	if r.info == nil {
		return nil
	}
	has, err := r.forCopies(want.Replicas)
	if err != nil {
		return err
	}
	tiered := len(r.info.Tiers) > 0
	limits, reserved := has.Limits, int64(has.ReservedStore) //nolint:gosec // nats-server counts it so
	for i := range r.made {
		reserved += setAside(&r.made[i], tiered)
	}
	need := setAside(&want, tiered)
	switch {
	case limits.MaxStore == 0:
		return fmt.Errorf("the account has no storage in files")
	case limits.MaxStreams > 0 && has.Streams+len(r.made) >= limits.MaxStreams:
		return fmt.Errorf("the account may have %d streams, and has them, or will by then: raise that limit", limits.MaxStreams)
	case limits.MaxBytesRequired && want.MaxBytes <= 0:
		return fmt.Errorf("the account wants max_bytes of each stream, which the bridge gives this one none of: make it by hand, or have the account not want it")
	case limits.StoreMaxStreamBytes > 0 && want.MaxBytes > limits.StoreMaxStreamBytes:
		return fmt.Errorf("the account takes streams of at most %d bytes, and its max_bytes is to be %d: set that lower, or raise the limit",
			limits.StoreMaxStreamBytes, want.MaxBytes)
	case limits.MaxStore > 0 && need > limits.MaxStore-reserved:
		return fmt.Errorf("the account has %d bytes of storage, of which %d are set aside for other streams, and it would take %d: raise that limit, or set max_bytes lower",
			limits.MaxStore, reserved, need)
	}
	return nil
}

// forCopies is tier for a stream that is to be made, or to have more copies than it has.
func (r *room) forCopies(replicas int) (jetstream.Tier, error) {
	if replicas > 1 && r.alone {
		return jetstream.Tier{}, fmt.Errorf("BRIDGE_STREAM_REPLICAS=%d wants a cluster, and the nats-server is in none (if it is a leaf node of one: go on)", replicas)
	}
	return r.tier(replicas)
}

// tier is what the account may have of streams with so many copies, and has. The error is why it may have none.
func (r *room) tier(replicas int) (jetstream.Tier, error) {
	if len(r.info.Tiers) == 0 {
		return r.info.Tier, nil
	}
	name := fmt.Sprint("R", max(replicas, 1))
	has, ok := r.info.Tiers[name]
	if !ok {
		return has, fmt.Errorf("the account has JetStream for streams of %s, not of %s: give its JWT that tier, or the stream as many copies as another is of (BRIDGE_STREAM_REPLICAS)",
			strings.Join(slices.Sorted(maps.Keys(r.info.Tiers)), ", "), name)
	}
	return has, nil
}

// usedUp returns why the account lets no more be stored in the stream of is, and what to do; nil if it does, or nothing is known.
func (r *room) usedUp(is *jetstream.StreamInfo) error {
	if r.info == nil || is.Config.Storage != jetstream.FileStorage {
		return nil
	}
	has, err := r.tier(is.Config.Replicas)
	copies, limit := uint64(max(is.Config.Replicas, 1)), has.Limits.MaxStore
	if err != nil || limit < 0 {
		return err
	}
	if len(r.info.Tiers) > 0 {
		limit *= int64(copies)
	}
	if usual := is.State.Bytes / max(is.State.Msgs, 1); has.Store+usual*copies > uint64(limit) {
		return fmt.Errorf("the account has %d bytes of storage, and %d are used: raise that limit, or shorten what is kept", limit, has.Store)
	}
	return nil
}

// foresee says of the copies that a stream lacks, where they are to be made when a bridge starts, why they will not.
func (r *room) foresee(want jetstream.StreamConfig, diffs []Difference) {
	if r.info == nil {
		return
	}
	for i := range diffs {
		if d := &diffs[i]; d.Field == "num_replicas" && d.Left == "" {
			if _, err := r.forCopies(want.Replicas); err != nil {
				d.Left = err.Error()
			}
		}
	}
}

// setAside is what nats-server sets aside of the account's storage for a stream: for each copy, unless the limit is that of a tier.
func setAside(c *jetstream.StreamConfig, tiered bool) int64 {
	if tiered {
		return max(c.MaxBytes, 0)
	}
	return max(c.MaxBytes, 0) * int64(max(c.Replicas, 1))
}

// take notes that want is made, or will be.
func (r *room) take(want jetstream.StreamConfig) { r.made = append(r.made, want) }

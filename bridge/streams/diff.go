package streams

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

const (
	leftLoses  = "the change could lose what is stored: make it by hand, or set the bridge to what is there"
	leftFixed  = "nats-server does not change it: make the stream anew, or leave it"
	leftVerify = "BRIDGE_STREAMS=verify changes nothing"
)

type streamConfig = jetstream.StreamConfig

// streamField is a field that matters to the bridge. Those that are not among
// them, such as sources, republish, placement and metadata, are the operator's.
type streamField struct {
	name, breaks string
	loses        bool // what breaks is that messages are refused, or lost
	stays        bool // nats-server does not take it back
	value        func(*streamConfig) string
	differs      func(have, want *streamConfig) bool
	// lesser reports whether the stream has less than is wanted, so that the
	// change loses nothing; nil if it never is made.
	lesser func(have, want *streamConfig) bool
	change func(to, want *streamConfig)
}

// streamFields are in the order in which they are changed: the age before the
// window, which may not be longer.
var streamFields = []streamField{
	subjectsField().losing(),
	fixed("mirror", "it takes messages from its origin alone", mirrorOf).losing(),
	fixed("sealed", "it takes no message any more", func(c *streamConfig) bool { return c.Sealed }).losing(),
	fixed("storage", "what is in memory is lost with its server", func(c *streamConfig) jetstream.StorageType { return c.Storage }).losing(),
	changed("retention", "interest keeps nothing that no consumer waits for, workqueue nothing that one has had", func(c *streamConfig) *jetstream.RetentionPolicy { return &c.Retention },
		func(have, want jetstream.RetentionPolicy) bool {
			return have == jetstream.InterestPolicy && want == jetstream.LimitsPolicy
		}).losing().oneWay(),
	never("discard", "at a limit old drops what is stored, new refuses what comes", func(c *streamConfig) jetstream.DiscardPolicy { return c.Discard }).losing(),
	discardPerSubject().losing(),
	fixed("persist_mode", "async acknowledges before it is written", func(c *streamConfig) jetstream.PersistModeType { return c.PersistMode }).losing(),
	fixed("allow_msg_counter", "it takes counters alone", func(c *streamConfig) bool { return c.AllowMsgCounter }).losing(),
	never("subject_transform", "messages are stored under other subjects", transformOf).losing(),
	changed("no_ack", "nothing that is stored is acknowledged, so that the outbox never empties", func(c *streamConfig) *bool { return &c.NoAck }, always).losing(),
	changed("compression", "", func(c *streamConfig) *jetstream.StoreCompression { return &c.Compression },
		func(_, want jetstream.StoreCompression) bool { return want != jetstream.NoCompression }).onlyLesser(),
	changed("num_replicas", "fewer servers may fail", func(c *streamConfig) *int { return &c.Replicas }, less[int]),
	changed("max_age", "messages go sooner", func(c *streamConfig) *time.Duration { return &c.MaxAge }, shorter),
	changed("max_bytes", "less is kept", func(c *streamConfig) *int64 { return &c.MaxBytes }, lower[int64]),
	changed("max_msgs", "less is kept", func(c *streamConfig) *int64 { return &c.MaxMsgs }, lower[int64]),
	changed("max_msgs_per_subject", "less is kept of each subject", func(c *streamConfig) *int64 { return &c.MaxMsgsPerSubject }, lower[int64]),
	changed("max_msg_size", "larger messages are refused", func(c *streamConfig) *int32 { return &c.MaxMsgSize }, lower[int32]).losing(),
	changed("duplicate_window", "a repeat after it is stored twice", func(c *streamConfig) *time.Duration { return &c.Duplicates }, less[time.Duration]),
	changed("allow_msg_ttl", "with it whoever publishes may have a message expire (Nats-TTL); the bucket of the state wants it",
		func(c *streamConfig) *bool { return &c.AllowMsgTTL }, unset).oneWay(),
	fixed("allow_msg_schedules", "it rolls up messages", func(c *streamConfig) bool { return c.AllowMsgSchedules }),
	changed("subject_delete_marker_ttl", "it rolls up messages, which the bucket of the state alone wants",
		func(c *streamConfig) *time.Duration { return &c.SubjectDeleteMarkerTTL }, always),
	changed("allow_rollup_hdrs", "with it whoever publishes may replace what is stored (Nats-Rollup); a bucket wants it",
		func(c *streamConfig) *bool { return &c.AllowRollup }, always),
	consumerLimit(),
	changed("deny_delete", "single messages can be deleted", func(c *streamConfig) *bool { return &c.DenyDelete }, unset).onlyLesser(),
	changed("deny_purge", "what is stored can be purged", func(c *streamConfig) *bool { return &c.DenyPurge }, unset).onlyLesser(),
	changed("allow_direct", "messages are read from the leader alone", func(c *streamConfig) *bool { return &c.AllowDirect }, unset).onlyLesser(),
	changed("allow_batched", "fast ingest is refused", func(c *streamConfig) *bool { return &c.AllowBatchPublish }, unset).onlyLesser(),
}

// changed is a field that is changed where the stream has less than is wanted.
func changed[T comparable](name, breaks string, at func(*streamConfig) *T, lesser func(have, want T) bool) streamField {
	return streamField{
		name: name, breaks: breaks,
		value:   func(c *streamConfig) string { return asJSON(*at(c)) },
		differs: func(have, want *streamConfig) bool { return *at(have) != *at(want) },
		lesser:  func(have, want *streamConfig) bool { return lesser(*at(have), *at(want)) },
		change:  func(to, want *streamConfig) { *at(to) = *at(want) },
	}
}

// losing is a field without which messages are refused, or lost.
func (f streamField) losing() streamField {
	f.loses = true
	return f
}

// oneWay is a field of which nats-server makes no other change.
func (f streamField) oneWay() streamField {
	f.stays = true
	return f
}

// onlyLesser takes a stream that has more than is wanted as it is.
func (f streamField) onlyLesser() streamField {
	differs := f.differs
	f.differs = func(have, want *streamConfig) bool { return differs(have, want) && f.lesser(have, want) }
	return f
}

// never is a field whose change could lose something.
func never[T comparable](name, breaks string, at func(*streamConfig) T) streamField {
	f := fixed(name, breaks, at)
	f.lesser = func(*streamConfig, *streamConfig) bool { return false }
	return f
}

// fixed is a field that nats-server does not change.
func fixed[T comparable](name, breaks string, at func(*streamConfig) T) streamField {
	return streamField{
		name: name, breaks: breaks,
		value:   func(c *streamConfig) string { return asJSON(at(c)) },
		differs: func(have, want *streamConfig) bool { return at(have) != at(want) },
	}
}

// subjectsField adds what is wanted and takes nothing away: what else is there
// somebody else may need.
func subjectsField() streamField {
	return streamField{
		name: "subjects", breaks: "what is published there is not stored",
		value: func(c *streamConfig) string { return strings.Join(c.Subjects, ",") },
		differs: func(have, want *streamConfig) bool {
			return slices.ContainsFunc(want.Subjects, func(s string) bool { return !natsconn.CoversAny(have.Subjects, s) })
		},
		lesser: func(have, _ *streamConfig) bool { return have.Mirror == nil },
		change: func(to, want *streamConfig) {
			to.Subjects = slices.DeleteFunc(slices.Clone(to.Subjects), func(s string) bool { return natsconn.CoversAny(want.Subjects, s) })
			to.Subjects = append(to.Subjects, want.Subjects...)
		},
	}
}

// discardPerSubject goes together with its limit, without which nats-server refuses it, and with which alone the stream
// would drop what is stored.
func discardPerSubject() streamField {
	f := changed("discard_new_per_subject", "a subject at its limit takes no message", func(c *streamConfig) *bool { return &c.DiscardNewPerSubject }, always)
	f.change = func(to, want *streamConfig) {
		to.DiscardNewPerSubject = want.DiscardNewPerSubject
		if lower(to.MaxMsgsPerSubject, want.MaxMsgsPerSubject) {
			to.MaxMsgsPerSubject = want.MaxMsgsPerSubject
		}
	}
	return f
}

// consumerLimit is a limit that only the bucket of the state must not have: nats-server gives it to consumers without
// acknowledgements too, by which a bucket is read, and refuses them for it.
func consumerLimit() streamField {
	return streamField{
		name: "consumer_limits", breaks: "with max_ack_pending nobody can read the bucket, nor this bridge what another left there",
		value: func(c *streamConfig) string { return fmt.Sprintf("max_ack_pending %d", c.ConsumerLimits.MaxAckPending) },
		differs: func(have, want *streamConfig) bool {
			return want.Name == StateStream && have.ConsumerLimits.MaxAckPending != want.ConsumerLimits.MaxAckPending
		},
		lesser: always[*streamConfig],
		change: func(to, want *streamConfig) { to.ConsumerLimits.MaxAckPending = want.ConsumerLimits.MaxAckPending },
	}
}

// asJSON is v as the JetStream API spells it, but for durations.
func asJSON(v any) string {
	if m, ok := v.(json.Marshaler); ok {
		if text, err := m.MarshalJSON(); err == nil {
			return strings.Trim(string(text), `"`)
		}
	}
	return fmt.Sprint(v)
}

func mirrorOf(c *streamConfig) string {
	if c.Mirror == nil {
		return ""
	}
	return c.Mirror.Name
}

func transformOf(c *streamConfig) string {
	if c.SubjectTransform == nil {
		return ""
	}
	return c.SubjectTransform.Source + " to " + c.SubjectTransform.Destination
}

func always[T any](_, _ T) bool                { return true }
func unset(have, want bool) bool               { return !have && want }
func less[T cmp.Ordered](have, want T) bool    { return have < want }
func shorter(have, want time.Duration) bool    { return want == 0 || have != 0 && have < want }
func lower[T int32 | int64](have, want T) bool { return want == -1 || have != -1 && have < want }

// differences names the fields in which a stream is not as configured.
func differences(have, want streamConfig) (all []Difference) {
	normalize(&have)
	normalize(&want)
	for _, f := range streamFields {
		if !f.differs(&have, &want) {
			continue
		}
		d := Difference{Field: f.name, Have: f.value(&have), Want: f.value(&want)}
		switch {
		case f.lesser == nil:
			d.Left, d.Breaks = leftFixed, f.breaks
		case f.change == nil:
			d.Left, d.Breaks = leftLoses, f.breaks
		case f.lesser(&have, &want):
			d.Breaks = f.breaks
		case f.stays:
			d.Left, d.Breaks = leftFixed, f.breaks
		default:
			d.Left = leftLoses
		}
		d.Loses = f.loses && d.Breaks != ""
		all = append(all, d)
	}
	return all
}

// changeOf returns have with the field called name as it is wanted, unless that
// could lose something: since it was found less, somebody may have made it more.
func changeOf(name string, have, want streamConfig) streamConfig {
	normalize(&have)
	normalize(&want)
	for _, f := range streamFields {
		if f.name == name && f.lesser(&have, &want) {
			f.change(&have, &want)
		}
	}
	return have
}

// normalize writes the limits that are not set as the server does.
func normalize(c *streamConfig) {
	c.MaxMsgs, c.MaxBytes = orNone(c.MaxMsgs), orNone(c.MaxBytes)
	c.MaxMsgsPerSubject, c.MaxMsgSize = orNone(c.MaxMsgsPerSubject), orNone(c.MaxMsgSize)
	c.Replicas = max(c.Replicas, 1)
}

// orNone is how the server spells a limit that is not set.
func orNone[T int32 | int64](limit T) T {
	if limit == 0 {
		return -1
	}
	return limit
}

package streams

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// StatusStream is the name of the stream that holds the last status of each
// subject.
const StatusStream = "AMI_STATUS"

// KeyStream is the stream behind KeyBucket.
const KeyStream = "KV_" + KeyBucket

// StateStream is the stream behind StateBucket.
const StateStream = "KV_" + StateBucket

// batchLevel is the level of the JetStream API that knows fast ingest, of
// nats-server 2.14. An older one refuses the setting or forgets it.
const batchLevel = 4

// State is how a stream stands.
type State uint8

const (
	Unknown      State = iota // not looked at yet
	Off                       // BRIDGE_STREAMS=off: not looked at
	OK                        // as configured
	Differs                   // takes messages, and is not as configured
	Missing                   // is not there, and could not or must not be made
	Full                      // refuses messages for want of room
	ReadOnly                  // takes no message: it is sealed, or a mirror
	Captured                  // a stream captures the subjects of the Actions
	NoJetStream               // the server or the account has no JetStream
	Unseen                    // takes messages, and JetStream does not answer questions about it
	NoPermission              // the bridge may not ask for it, or publish into it
	Unavailable               // no leader, or no answer in time
	NumStates
)

// String returns the state as status, logs and metrics spell it.
func (s State) String() string {
	return [...]string{
		"unknown", "off", "ok", "differs", "missing", "full", "read_only", "captured", "no_jetstream", "unseen", "no_permission", "unavailable",
	}[s]
}

// There reports whether the stream is, and takes messages as far as its
// configuration goes.
func (s State) There() bool { return s == OK || s == Differs }

// wantedStreams are the streams as they are configured, for a JetStream API of
// this level.
func wantedStreams(b *config.Config, level int) []jetstream.StreamConfig {
	prefix, c := b.SubjectPrefix, b.Stream
	all := []jetstream.StreamConfig{{
		Name: StatusStream, Description: "Last status of each subject, by ami-nats-bridge.",
		Subjects: []string{prefix + ".status.>", prefix + ".nodes.>"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Replicas: c.Replicas, AllowDirect: true, Duplicates: Duplicates(0),
	}}
	if b.Audit != config.AuditOff {
		all = append(all, auditStream(b))
	}
	if b.State {
		all = append(all, stateStream(b))
	}
	if b.Delivery == config.DeliverCore {
		return all
	}
	all = append(all, jetstream.StreamConfig{
		Name: EventStream, Description: "Events of Asterisk, by ami-nats-bridge.",
		Subjects: []string{prefix + ".events.>"}, Storage: jetstream.FileStorage,
		Compression: jetstream.S2Compression, Replicas: c.Replicas, MaxAge: c.MaxAge,
		MaxBytes: int64(c.MaxBytes), AllowDirect: true, Duplicates: Duplicates(c.MaxAge),
		AllowBatchPublish: level >= batchLevel,
	})
	if b.HA {
		all[len(all)-1].Subjects = append(all[len(all)-1].Subjects, Terms(prefix))
	}
	if c.Forwarded {
		all[len(all)-1] = Forwarded(all[len(all)-1])
	}
	if b.IdempotencyWindow > 0 {
		all = append(all, keysStream(b))
	}
	return all
}

// auditStream keeps evidence: nothing of it is deleted or purged, no message
// takes the place of another, and a limit that somebody sets refuses new records
// rather than drop old ones. What rolls up or expires single messages stays off.
func auditStream(b *config.Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: AuditStream, Description: "Records of the Actions asked for, by ami-nats-bridge.",
		Subjects: []string{b.SubjectPrefix + ".audit.>"}, Storage: jetstream.FileStorage,
		Compression: jetstream.S2Compression, Replicas: b.Stream.Replicas, MaxAge: b.AuditMaxAge,
		Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true,
		AllowDirect: true, Duplicates: Duplicates(b.AuditMaxAge),
	}
}

// keysStream is what a KV bucket is (NATS ADR-8), with one value a key.
func keysStream(b *config.Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: KeyStream, Description: "Requests with an Ami-Idempotency-Key, by ami-nats-bridge.",
		Subjects: []string{"$KV." + KeyBucket + ".>"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		MaxAge: b.IdempotencyWindow, MaxBytes: 256 << 20, Replicas: b.Stream.Replicas, Duplicates: Duplicates(b.IdempotencyWindow),
	}
}

// stateStream is a KV bucket as well, with markers of what has ended: those that the
// bridge writes (a purge with a Nats-TTL), and the server's of what has expired.
func stateStream(b *config.Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StateStream, Description: "What is up at each Asterisk now, by ami-nats-bridge.",
		Subjects: []string{"$KV." + StateBucket + ".>"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		AllowMsgTTL: true, SubjectDeleteMarkerTTL: b.StateMarkerAge,
		MaxBytes: int64(b.StateMaxBytes), Replicas: b.Stream.Replicas, Duplicates: Duplicates(0),
	}
}

// Duplicates is how long the stream recognizes a repeat. The server refuses one
// longer than the age.
func Duplicates(maxAge time.Duration) time.Duration {
	if maxAge > 0 {
		return min(2*time.Minute, maxAge)
	}
	return 2 * time.Minute
}

// full reports whether a stream that refuses what goes over its limits has
// reached one: there is no room for a message of the usual size.
func full(info *jetstream.StreamInfo) bool {
	c, s := info.Config, info.State
	if c.Discard != jetstream.DiscardNew || s.Msgs == 0 {
		return false
	}
	return c.MaxMsgs > 0 && s.Msgs >= uint64(c.MaxMsgs) || c.MaxBytes > 0 && s.Bytes+s.Bytes/s.Msgs > uint64(c.MaxBytes)
}

// EventStream is the name of the stream that holds the events.
const EventStream = "AMI_EVENTS"

// AuditStream is the name of the stream that holds the audit's records.
const AuditStream = "AMI_AUDIT"

// StateBucket is the KV bucket of what is up at each server now.
const StateBucket = "AMI_STATE"

// KeyBucket is the KV bucket in which bridges share the requests with a key.
const KeyBucket = "AMI_IDEMPOTENCY"

// Forwarded is want, a stream of events, where another stream takes them over.
// Each is kept until that one has acknowledged it and no longer. A full stream
// refuses what comes rather than drop what nobody has: the outbox holds, and
// what overflows there is a loss that is counted and told.
func Forwarded(want jetstream.StreamConfig) jetstream.StreamConfig {
	want.Retention, want.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	want.MaxAge, want.Duplicates = 0, Duplicates(0)
	return want
}

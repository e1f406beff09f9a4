package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// StatusStream is the name of the stream that holds the last status of each
// subject.
const StatusStream = "AMI_STATUS"

// streamTimeout bounds each question about streams.
const streamTimeout = 5 * time.Second

// ensure checks the streams and, with STREAMS=manage, makes those that are
// missing. One that is there is never changed: what differs is logged. It
// reports whether there is JetStream.
func (b *Bridge) ensure(ctx context.Context, js jetstream.JetStream) (there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	if _, err := js.AccountInfo(ctx); err != nil {
		if b.cfg.Delivery == DeliverCore {
			b.log.Warn("no JetStream: events are delivered at most once", zap.Error(err))
			return false, nil
		}
		return false, fmt.Errorf("JetStream: %w: enable it, or set BRIDGE_DELIVERY=core", err)
	}
	if err := b.refuseActionStreams(ctx, js); err != nil {
		return true, err
	}
	if b.cfg.Streams == StreamsOff {
		return true, nil
	}
	for _, want := range b.streams() {
		if err := b.ensureStream(ctx, js, want); err != nil {
			return true, err
		}
	}
	return true, nil
}

// refuseActionStreams refuses to run beside a stream that captures requests:
// its acknowledgement would reach the caller as the first reply.
func (b *Bridge) refuseActionStreams(ctx context.Context, js jetstream.JetStream) error {
	subject := b.cfg.SubjectPrefix + ".actions.>"
	names := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
	for name := range names.Name() {
		return fmt.Errorf("stream %s captures %s, so that its acknowledgement would reach callers as the reply: "+
			"change its subjects", name, subject)
	}
	return names.Err()
}

// streams are the streams as they are configured.
func (b *Bridge) streams() []jetstream.StreamConfig {
	prefix, c := b.cfg.SubjectPrefix, b.cfg.Stream
	status := jetstream.StreamConfig{
		Name: StatusStream, Description: "Last status of each subject, by ami-nats-bridge.",
		Subjects: []string{prefix + ".status.>", prefix + ".nodes.>"}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Replicas: c.Replicas, AllowDirect: true,
	}
	all := []jetstream.StreamConfig{status}
	if b.cfg.Audit != AuditOff {
		all = append(all, b.auditStream())
	}
	if b.cfg.Delivery == DeliverCore {
		return all
	}
	return append(all, jetstream.StreamConfig{
		Name: EventStream, Description: "Events of Asterisk, by ami-nats-bridge.",
		Subjects: []string{prefix + ".events.>"}, Storage: jetstream.FileStorage,
		Compression: jetstream.S2Compression, Replicas: c.Replicas, MaxAge: c.MaxAge,
		MaxBytes: int64(c.MaxBytes), AllowDirect: true, Duplicates: duplicates(c.MaxAge),
		AllowBatchPublish: true,
	})
}

// auditStream keeps evidence: nothing of it is deleted or purged, no message
// takes the place of another, and a limit that somebody sets refuses new records
// rather than drop old ones. What rolls up or expires single messages stays off.
func (b *Bridge) auditStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: AuditStream, Description: "Records of the Actions asked for, by ami-nats-bridge.",
		Subjects: []string{b.cfg.SubjectPrefix + ".audit.>"}, Storage: jetstream.FileStorage,
		Compression: jetstream.S2Compression, Replicas: b.cfg.Stream.Replicas, MaxAge: b.cfg.AuditMaxAge,
		Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true,
		AllowDirect: true, Duplicates: duplicates(b.cfg.AuditMaxAge),
	}
}

// duplicates is how long the stream recognizes a repeat. The server refuses one
// longer than the age.
func duplicates(maxAge time.Duration) time.Duration {
	if maxAge > 0 {
		return min(2*time.Minute, maxAge)
	}
	return 2 * time.Minute
}

func (b *Bridge) ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if b.cfg.Streams == StreamsVerify {
			return fmt.Errorf("stream %s is missing: make it, or set BRIDGE_STREAMS=manage", want.Name)
		}
		if _, err := js.CreateStream(ctx, want); err != nil {
			return fmt.Errorf("make stream %s: %w", want.Name, err)
		}
		b.log.Info("stream made", zap.String("stream", want.Name))
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", want.Name, err)
	}
	if diff := differences(stream.CachedInfo().Config, want); len(diff) > 0 {
		b.log.Warn("stream differs from the configuration and is left as it is",
			zap.String("stream", want.Name), zap.Strings("differences", diff))
	}
	return nil
}

// differences names the fields in which a stream is not as configured.
func differences(have, want jetstream.StreamConfig) []string {
	var diff []string
	field := func(name string, have, want any) {
		if fmt.Sprint(have) != fmt.Sprint(want) {
			diff = append(diff, fmt.Sprintf("%s is %v, not %v", name, have, want))
		}
	}
	field("subjects", strings.Join(have.Subjects, ","), strings.Join(want.Subjects, ","))
	field("storage", have.Storage, want.Storage)
	field("compression", have.Compression, want.Compression)
	field("replicas", have.Replicas, want.Replicas)
	field("max_age", have.MaxAge, want.MaxAge)
	field("max_bytes", have.MaxBytes, orNone(want.MaxBytes))
	if want.Duplicates > 0 {
		// Without it a repeat is stored twice.
		field("duplicate_window", have.Duplicates, want.Duplicates)
	}
	field("no_ack", have.NoAck, want.NoAck)
	field("sealed", have.Sealed, want.Sealed)
	field("retention", have.Retention, want.Retention)
	field("max_msgs_per_subject", have.MaxMsgsPerSubject, orNone(want.MaxMsgsPerSubject))
	field("max_msgs", have.MaxMsgs, orNone(want.MaxMsgs))
	field("discard", have.Discard, want.Discard)
	field("deny_delete", have.DenyDelete, want.DenyDelete)
	field("deny_purge", have.DenyPurge, want.DenyPurge)
	field("allow_rollup_hdrs", have.AllowRollup, want.AllowRollup)
	field("allow_msg_ttl", have.AllowMsgTTL, want.AllowMsgTTL)
	field("subject_delete_marker_ttl", have.SubjectDeleteMarkerTTL, want.SubjectDeleteMarkerTTL)
	field("allow_msg_schedules", have.AllowMsgSchedules, want.AllowMsgSchedules)
	return diff
}

// orNone is how the server spells a limit that is not set.
func orNone(limit int64) int64 {
	if limit == 0 {
		return -1
	}
	return limit
}

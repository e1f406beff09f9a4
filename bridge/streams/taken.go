package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// streamsOn are the names of the streams that take any of what is on subject.
func (k *Reconciler) streamsOn(ctx context.Context, subject string) ([]string, error) {
	return question(ctx, k, "STREAM.NAMES", func(ctx context.Context) (all []string, err error) {
		names := k.js().StreamNames(ctx, jetstream.WithStreamListSubject(subject))
		for name := range names.Name() {
			all = append(all, name)
		}
		return all, names.Err()
	})
}

// taken is why want cannot have all of its subjects: other streams have some, and nats-server does not say which. It is nil
// where there are none, or where nobody answers.
func (k *Reconciler) taken(ctx context.Context, want jetstream.StreamConfig) error {
	var others []string
	for _, subject := range want.Subjects {
		names, err := k.streamsOn(ctx, subject)
		if err != nil {
			return nil
		}
		others = append(others, names...)
	}
	others = slices.DeleteFunc(others, func(name string) bool { return name == want.Name })
	slices.Sort(others)
	if others = slices.Compact(others); len(others) == 0 {
		return nil
	}
	return fmt.Errorf("stream %s has some of its subjects (%s): take them from it, or delete it",
		strings.Join(others, ", "), strings.Join(want.Subjects, ", "))
}

// nameTakers says of the subjects that a stream lacks which others have them.
func (k *Reconciler) nameTakers(ctx context.Context, want jetstream.StreamConfig, diffs []Difference) {
	for i := range diffs {
		if d := &diffs[i]; d.Field == "subjects" {
			if taken := k.taken(ctx, want); taken != nil {
				d.Left = strings.TrimPrefix(d.Left+": "+taken.Error(), ": ")
			}
		}
	}
}

// named is err, why want was not made, with the streams that have its subjects, or what it lacks room for.
func (k *Reconciler) named(ctx context.Context, want jetstream.StreamConfig, err error) error {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return err
	}
	why := k.room.lacks(want)
	if api.ErrorCode == natsconn.StreamSubjectOverlap {
		why = k.taken(ctx, want)
	}
	if why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

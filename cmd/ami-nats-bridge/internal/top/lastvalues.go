package top

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	statusStream = "AMI_STATUS"
	// lastValuesPage is how many are asked for at once.
	lastValuesPage = 1000
	// lastValuesKept is for how long nats-server keeps what they are read by, where nobody says that it is done.
	lastValuesKept = 30 * time.Second
)

// LastValues calls take with the last message that AMI_STATUS has of each of these subjects, until
// that wants no more. It leaves nothing behind on nats-server. jetstream.OrderedConsumer does, for five
// minutes, and tries for ever what cannot be had, whatever ctx says.
func LastValues(ctx context.Context, js jetstream.JetStream, subjects []string, take func(jetstream.Msg) (more bool)) error {
	config := jetstream.ConsumerConfig{
		Name: rand.Text(), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: lastValuesKept, FilterSubjects: subjects,
	}
	if len(subjects) == 1 { // which the right to make it may name
		config.FilterSubject, config.FilterSubjects = subjects[0], nil
	}
	consumer, err := js.CreateConsumer(ctx, statusStream, config)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: JetStream does not answer: is it up, and may the user make a consumer there? %w", statusStream, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", statusStream, err)
	}
	api := strings.TrimSuffix(cmp.Or(js.Options().APIPrefix, jetstream.DefaultAPIPrefix), ".")
	defer func() { // nobody waits for it, and who may not has it go by itself
		_ = js.Conn().Publish(api+".CONSUMER.DELETE."+statusStream+"."+config.Name, nil)
	}()
	for last := uint64(0); ctx.Err() == nil; {
		batch, err := consumer.FetchNoWait(lastValuesPage)
		if err != nil {
			return fmt.Errorf("%s: %w", statusStream, err)
		}
		n, left, more := 0, uint64(0), true
		for m := range batch.Messages() {
			about, err := m.Metadata()
			if err != nil || about.Sequence.Consumer != last+1 {
				return fmt.Errorf("%s: a part of what it keeps was lost on the way", statusStream)
			}
			n, last, left = n+1, last+1, about.NumPending
			if more = more && take(m); !more {
				return nil
			}
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("%s: %w", statusStream, err)
		}
		if n == 0 || left == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", statusStream, ctx.Err())
}

// IsNotKept reports whether err, of LastValues, says that there are none: NATS has no such stream, or no JetStream.
func IsNotKept(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, nats.ErrNoResponders)
}

package top

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	statusStream = "AMI_STATUS"
	// lastValuesPage is how many are asked for at once.
	lastValuesPage = 1000
	// lastValuesKept is for how long nats-server keeps what they are read by, where nobody says that it is done.
	lastValuesKept = 30 * time.Second
)

// LastValues calls take with the last message that AMI_STATUS has of each of these subjects, and for how long
// that had been there when it was asked, by the clock of nats-server alone, until take wants no more. It leaves nothing behind on nats-server. jetstream.OrderedConsumer does, for five
// minutes, and tries for ever what cannot be had, whatever ctx says.
func LastValues(ctx context.Context, js jetstream.JetStream, subjects []string, take func(m jetstream.Msg, age time.Duration) (more bool)) error {
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
	asked := consumer.CachedInfo().TimeStamp
	for last, left := uint64(0), consumer.CachedInfo().NumPending; left > 0; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", statusStream, err)
		}
		batch, err := consumer.FetchNoWait(lastValuesPage)
		if err != nil {
			return fmt.Errorf("%s: %w", statusStream, err)
		}
		before := last
		for m := range batch.Messages() {
			about, err := m.Metadata()
			if err != nil || about.Sequence.Consumer != last+1 {
				return errLastValuesLost
			}
			if last, left = last+1, about.NumPending; !take(m, max(0, asked.Sub(about.Timestamp))) {
				return nil
			}
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("%s: %w", statusStream, err)
		}
		if last == before {
			return errLastValuesLost
		}
	}
	return nil
}

var errLastValuesLost = errors.New(statusStream + ": a part of what it keeps was lost on the way")

// IsNotKept reports whether err, of LastValues, says that there are none: NATS has no such stream, or no JetStream.
func IsNotKept(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

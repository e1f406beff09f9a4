package streams

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// applyChanges makes the changes that lose nothing, one by one, so that one which the
// server refuses keeps none of the others from being made.
func (k *Reconciler) applyChanges(
	ctx context.Context, info *jetstream.StreamInfo, want jetstream.StreamConfig, diffs []Difference,
) (*jetstream.StreamInfo, []Difference) {
	var made []string
	left, failed := make(map[string]string), k.refused[want.Name] // why, by field
	for _, d := range diffs {
		if d.Left != "" {
			continue
		}
		err := failed
		if err == nil {
			info, err = k.change(ctx, d.Field, info, want)
		}
		if err == nil {
			made = append(made, d.String())
			continue
		}
		left[d.Field] = "not changed: " + err.Error()
		if _, answered := errors.AsType[*jetstream.APIError](err); !answered {
			failed = err // the next would end alike
		}
		if errors.Is(err, natsconn.ErrDenied) {
			k.refused[want.Name] = err
		}
	}
	if len(made) > 0 {
		k.log.Info("stream changed", zap.String("stream", want.Name), zap.Strings("changes", made))
	}
	diffs = differences(info.Config, want)
	for i := range diffs {
		d := &diffs[i]
		d.Left = cmp.Or(d.Left, left[d.Field], "nats-server did not make the change")
	}
	return info, diffs
}

// change makes one field of a stream what it is to be, and returns the stream
// as it is then. It asks for the configuration and sends it without nats.go's
// StreamConfig between: of a newer nats-server that knows only some fields, and
// an update without the others would put them back to nothing.
func (k *Reconciler) change(
	ctx context.Context, field string, info *jetstream.StreamInfo, want jetstream.StreamConfig,
) (*jetstream.StreamInfo, error) {
	var is struct{ Config json.RawMessage }
	if err := k.request(ctx, "STREAM.INFO."+want.Name, nil, &is); err != nil {
		return info, err
	}
	config, err := patched(is.Config, field, want)
	if err != nil {
		return info, err
	}
	now := new(jetstream.StreamInfo)
	if err := k.request(ctx, "STREAM.UPDATE."+want.Name, config, now); err != nil {
		return info, err
	}
	return now, nil
}

// patched is a stream's configuration, as JetStream writes it, with one field, and what goes
// with it, as it is wanted and all others as they are.
func patched(config []byte, field string, want streamConfig) ([]byte, error) {
	var have streamConfig
	var all, from, to map[string]json.RawMessage
	err := errors.Join(json.Unmarshal(config, &have), json.Unmarshal(config, &all))
	changed := changeOf(field, have, want)
	normalize(&have)
	if err = errors.Join(err, rawMembers(have, &from), rawMembers(changed, &to)); err != nil {
		return nil, fmt.Errorf("the configuration of %s: %w", want.Name, err)
	}
	for name := range from {
		if _, ok := to[name]; !ok { // nothing is left out
			delete(all, name)
		}
	}
	for name, value := range to {
		if !bytes.Equal(value, from[name]) {
			all[name] = value
		}
	}
	return json.Marshal(all)
}

// rawMembers sets all to the members of c as JetStream writes them.
func rawMembers(c streamConfig, all *map[string]json.RawMessage) error {
	text, err := json.Marshal(c)
	return errors.Join(err, json.Unmarshal(text, all))
}

// request asks what has the subject $JS.API.<what> and decodes the answer.
func (k *Reconciler) request(ctx context.Context, what string, body []byte, answer any) error {
	msg, err := question(ctx, k, what, func(ctx context.Context) (*nats.Msg, error) {
		return k.conn.Get().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+what, body)
	})
	if err != nil {
		return err
	}
	var refused struct{ Error *jetstream.APIError }
	if err := errors.Join(json.Unmarshal(msg.Data, &refused), json.Unmarshal(msg.Data, answer)); err != nil {
		return fmt.Errorf("the answer of JetStream to %s: %w", what, err)
	}
	if refused.Error != nil {
		return refused.Error
	}
	return nil
}

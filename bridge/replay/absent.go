package replay

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
)

// streamInfo is what stands between the prefix of the JetStream API and a stream's name.
const streamInfo = ".STREAM.INFO."

// again waits, where it has to, before what ended in err is asked for again. It
// returns what to tell where that is of no use.
func (s *Source) again(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errNobody):
		wait, cancel := context.WithTimeout(ctx, retryWait)
		defer cancel()
		if s.absent(wait) {
			return s.failed(err)
		}
		<-wait.Done()
		return context.Cause(ctx)
	case errors.Is(err, errCut):
		return s.reconnected(ctx)
	}
	return err
}

// reconnected waits until NATS is there: that nothing was answered while it was not says nothing.
func (s *Source) reconnected(ctx context.Context) error {
	for s.Conn.IsReconnecting() {
		if err := pause(ctx, retryWait); err != nil {
			return err
		}
	}
	return nil
}

// absent reports whether JetStream says that there is no such stream, or that it
// allows no direct gets. It is false where nobody says so until ctx ends: the
// stream's server may be on its way back, and not every user may ask.
func (s *Source) absent(ctx context.Context) bool {
	m, err := s.Conn.RequestWithContext(ctx, s.API+streamInfo+s.Stream, nil)
	if err != nil {
		return false
	}
	var info struct {
		Error *struct {
			ErrCode nats.ErrorCode `json:"err_code"`
		}
		Config *struct {
			AllowDirect bool `json:"allow_direct"`
		}
	}
	if json.Unmarshal(m.Data, &info) != nil {
		return false
	}
	return info.Error != nil && info.Error.ErrCode == nats.JSErrCodeStreamNotFound || info.Config != nil && !info.Config.AllowDirect
}

// Optional reports whether a Source that may not publish to subject reads all the
// same: it asks there once nobody answers for its stream, to say sooner that this
// is not there.
func Optional(subject string) bool { return strings.Contains(subject, streamInfo) }

package natsconn

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What comes with each try is told once, until the connection stands again.
func TestSeen_TellsWhatIsNew(t *testing.T) {
	var s reported
	refused, denied := errors.New("refused"), errors.New("denied")
	for i, step := range []struct {
		err  error
		want zapcore.Level
	}{
		{refused, zap.WarnLevel}, {refused, zap.DebugLevel}, {denied, zap.WarnLevel}, {refused, zap.DebugLevel},
		{nil, 0}, {refused, zap.WarnLevel}, {refused, zap.DebugLevel},
	} {
		if step.err == nil {
			s.forget()
		} else if got := s.level(zap.WarnLevel, step.err); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	for i := range 10 * maxSeen {
		s.level(zap.WarnLevel, fmt.Errorf("error %d", i))
	}
	if len(s.texts) > maxSeen {
		t.Errorf("%d are remembered", len(s.texts))
	}
}

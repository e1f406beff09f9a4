package bridge

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// A 413 says what to do: the setting where that is the limit, a stream where that
// helps.
func TestFailureOf_TooLargeSaysWhatToDo(t *testing.T) {
	const setting, stream = "BRIDGE_AMI_MAX_FRAME_BYTES", "Ami-Reply: stream"
	part := func(correlation.Part) bool { return true }
	for name, tc := range map[string]struct {
		call            correlation.Call
		cause           error
		setting, stream bool
		says            string
	}{
		"frame":        {correlation.Call{}, frames.ErrFrameTooLarge, true, true, "Command"},
		"reply":        {correlation.Call{}, correlation.ErrReplyFull, false, true, "one message"},
		"all replies":  {correlation.Call{}, correlation.ErrTableFull, false, true, "later"},
		"long line":    {correlation.Call{Part: part}, frames.ErrFrameTooLarge, true, false, "line"},
		"large part":   {correlation.Call{Part: part}, correlation.ErrReplyFull, false, false, "part"},
		"refused part": {correlation.Call{Part: part}, correlation.ErrPartRefused, false, false, "slowly"},
	} {
		f := failureOf(&correlation.Result{Call: tc.call, Outcome: correlation.TooLarge, Sent: correlation.SentYes, Cause: tc.cause})
		if f.Code != 413 || f.Kind != "reply_too_large" || f.Sent != "yes" {
			t.Errorf("%s: %+v", name, f)
		}
		if strings.Contains(f.Message, setting) != tc.setting || strings.Contains(f.Message, stream) != tc.stream || !strings.Contains(f.Message, tc.says) {
			t.Errorf("%s: %q", name, f.Message)
		}
	}
}

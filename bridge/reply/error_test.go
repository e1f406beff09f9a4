package reply

import (
	"errors"
	"fmt"
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
		f := ErrorOf(&correlation.Result{Call: tc.call, Outcome: correlation.TooLarge, Sent: correlation.SentYes, Cause: tc.cause})
		if f.Code != 413 || f.Kind != "reply_too_large" || f.Sent != "yes" {
			t.Errorf("%s: %+v", name, f)
		}
		if strings.Contains(f.Message, setting) != tc.setting || strings.Contains(f.Message, stream) != tc.stream || !strings.Contains(f.Message, tc.says) {
			t.Errorf("%s: %q", name, f.Message)
		}
	}
}

// Each way for a call to end has its code, and says whether it reached Asterisk.
func TestFailureOf_EachOutcome(t *testing.T) {
	why := errors.New("why")
	for outcome, want := range map[correlation.Outcome]string{
		correlation.AsteriskError: "422 asterisk_error", correlation.TimedOut: "504 timeout", correlation.ConnectionLost: "502 connection_lost",
		correlation.NotSent: "503 not_connected", correlation.TooLarge: "413 reply_too_large", correlation.ShuttingDown: "503 shutting_down",
	} {
		for _, sent := range []correlation.SentState{correlation.SentNo, correlation.SentYes, correlation.SentUnknown} {
			f := ErrorOf(&correlation.Result{Outcome: outcome, Sent: sent, Cause: why})
			if got := fmt.Sprint(f.Code, " ", f.Kind); got != want || f.Sent != sent.String() {
				t.Errorf("%v, sent %v: %+v, want %s", outcome, sent, f, want)
			}
			if said := len(f.Message) > 5 && f.Message[len(f.Message)-5:] == ": why"; said == (outcome == correlation.TooLarge) {
				t.Errorf("%v: its cause is said: %v", outcome, said)
			}
		}
	}
	if f := ErrorOf(&correlation.Result{Outcome: correlation.Answered}); f != nil {
		t.Errorf("an answer is %+v", f)
	}
}

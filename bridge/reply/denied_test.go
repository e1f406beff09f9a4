package reply

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

func TestIsInbox_RefusesThoseOfBridges(t *testing.T) {
	for subject, want := range map[string]bool{
		"_INBOX.abc.1": true, "_R_.a.b": true, "_INBOX_dialer.abc": true,
		"": false, "_INBOX": false, "ami.events.pbx1.Hangup": false, "_INBOXfoo.x": false, "$JS.API.INFO": false,
		natsconn.InboxPrefix("b1") + ".nuid.7": false, natsconn.InboxPrefix("b2") + ".nuid.7": false,
		"_INBOX.": false, "_INBOX..x": false, "_INBOX.x.": false, "_INBOX.*": false, "_INBOX.x.>": false, "_R_.": false, "_INBOX.x*y": true,
	} {
		if got := IsInbox(subject); got != want {
			t.Errorf("IsInbox(%q) = %v, want %v", subject, got, want)
		}
	}
}

// What NATS denies of the callers' inboxes is counted, and said for as long as it may still be so;
// what else it denies is no reply.
func TestSender_CountsWhatIsDenied(t *testing.T) {
	r, now := new(Sender), time.Now()
	for _, subject := range []string{"_INBOX.a.1", "ami.status.pbx1.gap", "_INBOX_dialer.b"} {
		r.denied.take(fmt.Errorf("%w: Permissions Violation for Publish to %q", nats.ErrPermissionViolation, subject), now)
	}
	r.denied.take(fmt.Errorf("%w: Permissions Violation for Subscription to %q", nats.ErrPermissionViolation, "_INBOX.c"), now)
	if n, why := r.Denied(), r.WhyDenied(now); n != 2 || why == nil || why.Error() != "NATS does not let the bridge publish to _INBOX_dialer.b" {
		t.Errorf("%d, %v", n, why)
	}
	if n, why := r.Denied(), r.WhyDenied(now.Add(deniedFor+time.Second)); n != 2 || why != nil {
		t.Errorf("later %d, %v", n, why)
	}
}

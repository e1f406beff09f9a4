package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_BoundsOfDelivery(t *testing.T) {
	thousands := func(n int) string { return strings.Replace(fmt.Sprint(n), "1", "1,", 1) }
	pagetest.Says(t, "design", fmt.Sprintf("`windowMsgs`, %d;", windowMsgs),
		fmt.Sprintf("At most %d events are unacknowledged, over all servers, and %d MiB,", windowMsgs, shareBytes>>20),
		fmt.Sprintf("at most %d events of a server are in flight", sourceMsgs), fmt.Sprintf("at most %d events stay when NATS is away", fastMsgs),
		fmt.Sprintf("deficit round robin, %d KiB a turn", quantum>>10))
	pagetest.Says(t, "delivery", "("+thousands(fastMsgs)+" at most) are stored", "up to "+thousands(sourceMsgs-1)+" later events",
		"waits "+pagetest.Seconds(lastEventTries*lastEventTimeout)+", says so",
		"Without an answer for "+map[time.Duration]string{time.Minute: "a minute"}[storedPatience])
	pagetest.Says(t, "metrics", fmt.Sprintf("at most %d over all servers", windowMsgs))
	pagetest.Says(t, "outages", fmt.Sprintf("in flight (at most %d events)", windowMsgs))
}

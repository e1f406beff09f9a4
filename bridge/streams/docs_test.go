package streams

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_TimesOfStreams(t *testing.T) {
	pagetest.Says(t, "streams", "Each question may take "+pagetest.Seconds(QuestionTimeout),
		fmt.Sprintf("every %.0f to %.0f s", (streamsInterval*3/4).Seconds(), (streamsInterval*5/4).Seconds()),
		fmt.Sprintf("growing waits of up to %.0f s", (streamsInterval/2*3/2).Seconds()))
	pagetest.Says(t, "stream-states", "no answer within "+pagetest.Seconds(QuestionTimeout))
	pagetest.Says(t, "delivery", fmt.Sprintf("duplicate window (%.0f minutes, or", Duplicates(0).Minutes()))
}

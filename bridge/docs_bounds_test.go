package bridge

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
)

// The pages say what the code does: each of these bounds and times is there, as it
// is here.
func TestDocs_BoundsAndTimesOfDelivery(t *testing.T) {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%v s", d.Seconds()) }
	for page, texts := range map[string][]string{
		"design": {
			fmt.Sprintf("`windowMsgs`, %d;", windowMsgs), fmt.Sprintf("At most %d events are unacknowledged, over all servers, and %d MiB,", windowMsgs, shareBytes>>20),
			fmt.Sprintf("at most %d events of a server are in flight", laneMsgs), fmt.Sprintf("at most %d events stay when NATS is away", fastMsgs),
			fmt.Sprintf("`keptBlocks`, %d of %d KiB", keptBlocks, blockBytes>>10), fmt.Sprintf("`maxEventNames`, %d a server; tokens are cut at %d bytes", subject.MaxNames, subject.MaxToken),
			fmt.Sprintf("%d bytes an event included; Gaps, of %d each", entryBytes, entryBytes+gapBytes), fmt.Sprintf("`maxPayload`, 1 MiB - %d KiB", (1<<20-maxPayload)>>10),
			fmt.Sprintf("deficit round robin, %d KiB a turn", schedulerQuantum>>10), "a lost connection or " + seconds(ackTimeout) + " without one",
			fmt.Sprintf("every %s and after a denial", seconds(renewEvery)), "or for " + map[time.Duration]string{6: "six"}[holeIntervals] + " `STATUS_INTERVAL`",
			"for " + seconds(holdHole) + " at most, if what comes next",
		},
		"delivery": {
			"a lost connection or " + seconds(ackTimeout) + " without an\nacknowledgement", fmt.Sprintf("(%s at most) are stored", strings.Replace(fmt.Sprint(fastMsgs), "1", "1,", 1)),
			"waits " + seconds(recallTries*recallTimeout) + ", says so", fmt.Sprintf("up to %s later events", strings.Replace(fmt.Sprint(laneMsgs-1), "1", "1,", 1)),
			"Without an answer for " + map[time.Duration]string{time.Minute: "a minute"}[storedPatience],
			fmt.Sprintf("duplicate window (%.0f minutes, or", duplicates(0).Minutes()), "what comes " + seconds(renewEvery) + " later is stored",
		},
		"operating": {
			fmt.Sprintf("at most %d over all servers", windowMsgs), fmt.Sprintf("in flight (at most %d events)", windowMsgs),
			"`events wait in the outbox` after " + seconds(ackTimeout), "made anew every " + seconds(renewEvery) + ", after a denial within a second",
		},
		"streams": {
			"Each question may take " + seconds(streamTimeout), fmt.Sprintf("every\n%.0f to %.0f s", (streamsInterval * 3 / 4).Seconds(), (streamsInterval * 5 / 4).Seconds()),
			fmt.Sprintf("growing waits of up to %.0f s", (streamsInterval / 2 * 3 / 2).Seconds()), "no answer within " + seconds(streamTimeout),
		},
	} {
		text, err := os.ReadFile("../docs/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		flat := strings.Join(strings.Fields(string(text)), " ")
		for _, want := range texts {
			if !strings.Contains(flat, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("docs/%s.md does not say %q", page, want)
			}
		}
	}
}

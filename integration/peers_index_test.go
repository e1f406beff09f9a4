package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// defects are those that AMI clients and bridges are known for, each with the
// tests that show that this one does not have it.
var defects = []struct{ what, tests string }{
	// Promises that were broken elsewhere.
	{"after missed heartbeats nobody reconnects", "TestLink_SilentPeerEndsInReadTimeout TestChaos_SilentPeer"},
	{"a server's name that had to be changed matches no response", "TestPeers_AServersNameIsTakenAsItIsOrRefused"},
	{"events are thrown away while a heartbeat is missing", "TestPeers_EventsBesideMissedPingsAreKept"},
	{"a line end in a parameter smuggles in an action", "TestPeers_LineEndsInAParameterAreRefused"},
	{"a failed OriginateResponse is a success", "TestPeers_AFailedAsyncOriginateIsAnError TestLink_OriginateWaitsForTheEvent"},
	{"colons and blank lines in a Command's raw output break it", "TestPeers_RawCommandOutputIsKeptWhole"},
	{"QueueSummary completes without its events", "TestPeers_QueueSummaryHasItsEvents"},
	{"a frame of 1.1 MB ends the session", "TestPeers_AFrameOverTheLimitCostsOnlyItself TestChaos_OversizeEvents"},
	{"a cut frame is merged with the next", "TestPeers_ACutReplyIsNotMergedIntoTheNext TestChaos_TruncatedFrames"},
	{"a frame limit over 2 MiB is documented and fails", "TestPeers_AFrameLimitOver2MiBHolds"},
	{"a setting of one server drops all common ones", "TestLoad_LayersCommonAndOwnSettings"},
	{"redaction hits monkey and misses arrays", "TestRedact_EveryWayIntoALine TestRedact_LeavesTheRest"},
	{"a line end in a value makes an event Unknown", "TestChaos_GarbageBetweenFrames"},
	{"a full write buffer drops the connection", "TestPeers_AFullWriteBufferKeepsTheSession TestLink_WriteBufferFullIsBusy"},
	{"no TLS, no MD5", "TestLink_TLS TestLink_LogsInBothWays"},
	{"each frame copies the whole buffer", "TestReader_LooksAtEachByteOnce"},
	// Capabilities, by what goes wrong without them.
	{"events glued to the login's answer are lost", "TestPeers_EventsGluedToTheLoginReplyAreKept TestLink_NumbersEventsWithoutHoles"},
	{"bare line feeds merge two messages", "TestPeers_ARepliesBareLineFeedsEndIt TestChaos_BareLFReplies"},
	{"repeated headers, their order, their case, odd names or channel variables are lost", "TestPeers_EventsKeepWhatWasOnTheWire"},
	{"bytes that are not UTF-8 are dropped", "TestBridge_Latin1BothWays"},
	{"a frame or the parser's buffer grows without bound", "TestReader_DiscardsAHugeFrameInBoundedMemory"},
	{"after garbage only a reconnect helps", "TestChaos_GarbageBetweenFrames"},
	{"of a Command's output only some lines are left", "TestPeers_EveryOutputLineIsKept TestBridge_AnswersInEveryForm"},
	{"ActionIDs of two processes collide", "TestIDs_NamesNodeServerSessionAndNumber"},
	{"the next message is taken for the answer", "TestPeers_OnlyItsOwnReplyIsAnAnswer TestInvariant_NoCrossNodeContamination"},
	{"actions wait for each other's answers", "TestPeers_AThousandShuffledRepliesReachTheirCallers TestChaos_ShuffledReplies"},
	{"an action without an answer waits for ever, or ends without an error", "TestLink_TimeoutThenLateResponse TestInvariant_NoSyntheticSuccess"},
	{"pending actions survive their connection", "TestInvariant_EveryPendingActionEnds"},
	{"nobody says whether an action was sent", "TestBridge_ErrorsSayWhatReachedAsterisk"},
	{"actions are sent again after a reconnect", "TestPeers_NothingIsSentAgainAfterAReconnect"},
	{"a list ends at its first item, or never", "TestDeliver_KnowsWhenAnActionIsComplete TestActions_EachOfAsterisksEndsWithTheLastFrameOfItsReply"},
	{"the outcome of an async Originate is unknown", "TestLink_OriginateWaitsForTheEvent"},
	{"success that Asterisk never said", "TestInvariant_NoSyntheticSuccess"},
}

func TestPeers_EachDefectHasItsTest(t *testing.T) {
	known := map[string]bool{}
	names := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(moduleRoot(t), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range names.FindAllStringSubmatch(readText(t, path), -1) {
			known[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defects {
		for name := range strings.FieldsSeq(d.tests) {
			if !known[name] {
				t.Errorf("%s: there is no test %s", d.what, name)
			}
		}
	}
}

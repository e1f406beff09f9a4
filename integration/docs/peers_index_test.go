package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// defects are those that AMI clients and bridges are known for, each with the
// tests that show that this one does not have it. They stand in the order of the
// survey they come from: the promises that one bridge breaks (1.9, 16 of them),
// then rows 8 to 30 of the comparison.
var defects = []struct{ row, what, tests string }{
	// Promises that were broken elsewhere.
	{"1.9-1", "after three missed heartbeats nobody reconnects", "TestChaos_SilentPeer TestPeers_MissedPingsCostNothingButTheSession"},
	{"1.9-2", "a server's name that had to be changed matches no response", "TestPeers_AServersNameIsTakenAsItIsOrRefused"},
	{"1.9-3", "beside missed heartbeats events are thrown away, uncounted, and actions refused", "TestPeers_MissedPingsCostNothingButTheSession"},
	{"1.9-4", "a line end in a parameter smuggles in an action", "TestPeers_LineEndsInAParameterAreRefused"},
	{"1.9-5", "an OriginateResponse that says Failure is a success", "TestPeers_AFailedAsyncOriginateIsAnError"},
	{"1.9-6", "colons and blank lines in a Command's raw output break it", "TestPeers_RawCommandOutputIsKeptWhole"},
	{"1.9-7", "QueueSummary completes without its events", "TestPeers_QueueSummaryHasItsEvents"},
	{"1.9-8", "a frame of 1.1 MB ends the session and its pending actions", "TestPeers_AFrameOverTheLimitCostsOnlyItself"},
	{"1.9-9", "a cut frame is merged with the next", "TestPeers_ACutReplyIsNotMergedIntoTheNext TestChaos_TruncatedFrames"},
	{"1.9-10", "a frame limit over 2 MiB is documented and fails", "TestPeers_AFrameLimitOver2MiBHolds"},
	{"1.9-11", "a setting of one server drops all common ones", "TestLoad_LayersCommonAndOwnSettings"},
	{"1.9-12", "redaction hits monkey and misses arrays and raw Variable lines", "TestRedact_EveryWayIntoALine TestRedact_LeavesTheRest"},
	{"1.9-13", "a line end in a value makes an event Unknown", "TestPeers_EventsKeepWhatWasOnTheWire"},
	{"1.9-14", "a full write buffer drops the connection", "TestPeers_AFullWriteBufferKeepsTheSession"},
	{"1.9-15", "no TLS, no MD5", "TestPeers_TLSAndTheChallenge TestLink_TLS"},
	{"1.9-16", "each frame copies the whole buffer", "TestReader_LooksAtEachByteOnce"},
	// Capabilities, by what goes wrong without them.
	{"8", "events glued to the login's answer are lost", "TestPeers_EventsGluedToTheLoginReplyAreKept TestChaos_BannerGluedToFrames"},
	{"9", "bare line feeds merge two messages or are never an end", "TestPeers_EventsKeepWhatWasOnTheWire TestPeers_ARepliesBareLineFeedsEndIt TestChaos_BareLFReplies"},
	{"10", "of repeated headers one is left", "TestPeers_EventsKeepWhatWasOnTheWire TestPeers_RepliesKeepWhatWasOnTheWire"},
	{"11", "the headers' order is lost", "TestPeers_EventsKeepWhatWasOnTheWire TestPeers_RepliesKeepWhatWasOnTheWire"},
	{"12", "the headers' case is lost", "TestPeers_EventsKeepWhatWasOnTheWire TestPeers_RepliesKeepWhatWasOnTheWire"},
	{"13", "a message with an odd header name is refused", "TestPeers_EventsKeepWhatWasOnTheWire TestPeers_RepliesKeepWhatWasOnTheWire"},
	{"14", "channel variables are lost, or of two types", "TestPeers_EventsKeepWhatWasOnTheWire TestPeers_RepliesKeepWhatWasOnTheWire"},
	{"15", "bytes that are not UTF-8 are dropped, or end the session", "TestPeers_EventsKeepWhatWasOnTheWire TestBridge_Latin1BothWays"},
	{"16", "a frame has no limit", "TestPeers_AFrameOverTheLimitCostsOnlyItself TestChaos_OversizeEvents TestChaos_OversizeReplies"},
	{"17", "the parser's buffer grows without bound", "TestPeers_AFrameWithoutEndIsNotKept"},
	{"18", "after garbage only a reconnect helps", "TestChaos_GarbageBetweenFrames TestChaos_TruncatedFrames"},
	{"19", "an old Command's output is not read", "TestPeers_RawCommandOutputIsKeptWhole TestBridge_AnswersInEveryForm"},
	{"20", "of a Command's output only some lines are left", "TestPeers_EveryOutputLineIsKept TestBridge_AnswersInEveryForm"},
	{"21", "ActionIDs of two processes collide", "TestPeers_ActionIDsOfTwoProcessesDiffer TestInvariant_NoCrossNodeContamination"},
	{"22", "the next message is taken for the answer", "TestPeers_OnlyItsOwnReplyIsAnAnswer TestChaos_ForeignActionIDs"},
	{"23", "actions wait for each other's answers", "TestPeers_AThousandShuffledRepliesReachTheirCallers"},
	{"24", "an action without an answer waits for ever, or ends without an error", "TestPeers_OnlyItsOwnReplyIsAnAnswer TestChaos_ResponseAfterTheTimeout"},
	{"25", "pending actions survive their connection", "TestPeers_NothingIsSentAgainAfterAReconnect TestInvariant_EveryPendingActionEnds"},
	{"26", "nobody says whether an action was sent", "TestBridge_ErrorsSayWhatReachedAsterisk TestChaos_ServerThatReadsNothing"},
	{"27", "actions are sent again after a reconnect", "TestPeers_NothingIsSentAgainAfterAReconnect"},
	{"28", "a list ends at its first item, by a word in a text, at another's end, or never", "TestPeers_ListsThatRunAtOnceStayApart TestPeers_AMessageThatSpeaksOfAListIsNone TestChaos_ListThatStopsHalfWay TestActions_EachOfAsterisksEndsWithTheLastFrameOfItsReply"},
	{"29", "the outcome of an async Originate is unknown", "TestPeers_AFailedAsyncOriginateIsAnError"},
	{"30", "success that Asterisk never said, at the login or of an action", "TestInvariant_NoSyntheticSuccess TestBreaker_AuthRefusedOpensAtOnce"},
}

func TestPeers_EachDefectHasItsTest(t *testing.T) {
	known := map[string]bool{}
	names := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(harness.Root(t), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range names.FindAllStringSubmatch(harness.ReadText(t, path), -1) {
			known[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for n := 1; n <= 16; n++ {
		want = append(want, fmt.Sprint("1.9-", n))
	}
	for n := 8; n <= 30; n++ {
		want = append(want, fmt.Sprint(n))
	}
	indexed := map[string]bool{}
	for _, d := range defects {
		got = append(got, d.row)
		if d.tests == "" {
			t.Errorf("%s, %s: no test", d.row, d.what)
		}
		for name := range strings.FieldsSeq(d.tests) {
			indexed[name] = true
			if !known[name] {
				t.Errorf("%s, %s: there is no test %s", d.row, d.what, name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-survey +index):\n%s", diff)
	}
	for name := range known {
		if strings.HasPrefix(name, "TestPeers_") && !indexed[name] && name != t.Name() {
			t.Errorf("%s shows no defect of the index", name)
		}
	}
}

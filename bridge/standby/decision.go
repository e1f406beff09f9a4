package standby

// Decision is what is to be done now.
type Decision uint8

const (
	Hold       Decision = iota // publish nothing of the server, keep what is read
	AskTerm                    // read the term record; then SawTerm or Failed
	WriteTerm                  // write Record behind Fence; then Follower.Claim and Wrote, or Refused or Failed
	EndBatches                 // end the batches of the leaders before
	ReadTail                   // read the stream behind the cut; then Read or Failed
	Publish                    // what Follower.TakeOver leaves, the first alone and behind the last event that was read; or go on
	BeginEpoch                 // Follower.Begin, with its Gap first; of one who leads, Ledger.Begin for its next session
	BeginFirst                 // Follower.Begin of the server's first epoch, without a Gap
	Drain                      // send nothing new, wait for what is in flight; then Drained
	Yield                      // say in the Heartbeat that Heir shall claim
)

// EventKind is what has happened. Each question has one answer.
type EventKind uint8

const (
	Tick         EventKind = iota // some time has passed; at least every 100 ms, unless it Waits
	SawHeartbeat                  // a Heartbeat names a Leader
	SawTerm                       // the record that the stream holds; Term is nil if it holds none that can be read
	Wrote                         // the term is stored, at Seq
	Refused                       // the term, or an event, was not stored for its fence: 10071, 10164
	Failed                        // what was to be done did not succeed, or nobody knows
	Read                          // the tail was read; Exact says whether Follower.Check has no error
	FirstStored                   // the first event, behind the last that was read, is acknowledged
	Drained                       // nothing is in flight
	Handover                      // another shall lead: on SIGTERM, as often as it does not, or as a Move says
	SessionLost                   // the event session has ended, be there another already
	Disconnected                  // no NATS
)

// Event is what has happened, with what is known of it.
type Event struct {
	Kind    EventKind
	Answers uint64 // the Question that this answers; 0: none, as of an event that was refused
	Leader  Leader // Heard
	Term    *Term  // SawTerm; nil: there is none, or at Seq one that nobody has written
	Seq     uint64 // Wrote, SawTerm; Read: of the last event of those who keep behind fences, 0 without one
	Exact   bool   // Read
	Empty   bool   // Read: the stream holds no event of the server
	Short   bool   // Read: Tail.Short
	To      string // Handover; "": the Successor, if it is in sync
}

// View is how things stand while an Event is taken in.
type View struct {
	Session   bool   // the event session is up
	InSync    bool   // the Follower is
	Fresh     bool   // the session has answered a Ping since the Leader fell silent: it is not behind
	Turn      int    // of the Roster; of who stands by
	Slow      bool   // likewise
	Successor string // of the Roster
	HeirSync  bool   // the Successor is in sync

	Unable     Unable // of this bridge
	HeirUnable Unable // of the Successor
	// OthersStored is that events of other servers are stored that this bridge leads, and
	// HeirNoBetter that the Successor stores no more of what it leads itself. Both count for one
	// that is Mute.
	OthersStored, HeirNoBetter bool
}

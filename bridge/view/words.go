package view

// State is how a server is.
type State string

// The states, worst first.
const (
	StateLosing  State = "losing"
	StateDown    State = "down"
	StateRefused State = "refused"
	StateTrouble State = "trouble"
	StateUnknown State = "unknown"
	StateSyncing State = "syncing"
	StateWell    State = "well"
)

// stateWords has a row for each state, worst first: the word beside its sign. That of
// Unknown and of Well ends in a time.
var stateWords = []struct {
	State State
	Word  string
}{
	{StateLosing, "losing events"},
	{StateDown, "down"},
	{StateRefused, "login refused"},
	{StateTrouble, "in trouble"},
	{StateUnknown, "not known since"},
	{StateSyncing, "syncing"},
	{StateWell, "up for"},
}

// rank is 0 for the worst state. A state that it does not know is as bad as unknown.
func (s State) rank() int {
	unknown := 0
	for i, row := range stateWords {
		if row.State == s {
			return i
		}
		if row.State == StateUnknown {
			unknown = i
		}
	}
	return unknown
}

// Ill says whether somebody must do something.
func (s State) Ill() bool { return s.rank() <= StateTrouble.rank() }

// Word is the state's word without the time that may follow.
func (s State) Word() string { return stateWords[s.rank()].Word }

// sentence is why a server is as it is, and what to do. In why and do, {name} stands
// for a fact.
type sentence struct{ why, do string }

// silent stands in three rows.
var (
	broke  = sentence{"The connection broke: {error}.", "Network, firewall, NAT timeout."}
	silent = sentence{"Asterisk has been silent for {READ_TIMEOUT}.", "Does it hang? core show locks."}
	full   = sentence{"Outbox {percent} % full: {in}/s come in, NATS takes {out}.", "Look at NATS, then at OUTBOX_BYTES."}
)

// sentences are by the reason of a lost session or of a drop, the words of
// docs/operating.md.
var sentences = map[string]sentence{
	"secret":        {"The secret cannot be read: {error}.", "SECRET_FILE. Asterisk was not asked."},
	"dial":          {"Nothing listens at {addr}: {error}.", "Is Asterisk running? Firewall, ADDR, enabled=no."},
	"auth":          {"Asterisk answers, but refuses the user: {error}.", "Mend secret, user or permit in manager.conf."},
	"tls":           {"TLS fails: {error}.", "Name in the certificate, CA, or a plain port."},
	"banner":        {"What answers is not AMI, or closes at once.", "Port; authlimit."},
	"login":         {"No answer to the login within {LOGIN_TIMEOUT}.", "Overloaded, or plain AMI on a TLS port."},
	"closed":        {"Asterisk ended the session.", "Stopped, restarted, kicked, or writetimeout too short."},
	"read":          broke,
	"write":         broke,
	"read_timeout":  silent,
	"write_timeout": silent,
	"ping":          silent,
	"shutdown":      {"The bridge logged off.", "It stops, or is started again."},

	"overflow": full,
	"total":    full,
	"shed":     full,
	"oversize": {full.why, full.do + " The log names the event that is too large."},
	"corrupt":  {"What came in the place of an event was no message.", "Which module sends raw text?"},
	"panic":    {"A handler of the bridge panicked on an event.", "Report the stack in the log."},
}

// The sentences of what has no such reason.
var (
	noReason     = sentence{"The session is not up: {session}.", "Wait for its first try."}
	natsDown     = sentence{"NATS takes no events: they wait in memory.", "Look at NATS. Do not restart the bridge."}
	stalledFor   = sentence{"NATS has stored nothing of it for {age}: {depth} wait in memory.", "{stream}Do not restart the bridge."}
	halfOpen     = sentence{"The breaker is half-open: one try decides.", ""}
	writeHigh    = sentence{"Write buffer {percent} % full: Asterisk works slower than callers ask.", "Which caller floods? Does Asterisk answer?"}
	pendingHigh  = sentence{"{depth} of {capacity} actions are pending: callers get busy beyond.", "Which caller floods? Does Asterisk answer?"}
	silentWords  = sentence{"Nothing is heard of it: the bridge, or its NATS, is gone.", "Is the bridge running? Look at NATS."}
	neverSeen    = sentence{"Nothing has been heard of it yet.", "Is the bridge running?"}
	presentStale = sentence{"What is up at this Asterisk is not known now.", ""}
	syncingNow   = sentence{"What is up at this Asterisk is being listed.", ""}
	nobodyLeads  = sentence{"No bridge leads it: its events wait in the memory of those that stand by, and its actions are refused.", "Look at NATS: does AMI_EVENTS take messages?"}
	standingBy   = sentence{"{leader} leads it. This bridge stands by, {state}.", ""}

	standingAside = sentence{"{leader} leads it. This bridge does not read it: others do.", ""}

	standingApart = sentence{"{leader} leads it, and knows how it is. This bridge has no session of its own.", "Ask {leader}."}
)

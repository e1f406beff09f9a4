package view

import (
	"encoding/json"
	"time"
)

// The messages of the status subjects, as far as they are used; docs/schemas has all
// of each. What is marked as optional no bridge needs to say: a sentence then names
// the setting in place of its value.

// from is whose message it is and when it was made, by that node's clock.
type from struct {
	Node string `json:"node"`
	At   stamp  `json:"at"`
}

type connectionMsg struct {
	from
	Since     stamp             `json:"since"`
	Role      string            `json:"role"`
	To        string            `json:"to"`
	Reason    string            `json:"reason"`
	Error     string            `json:"error"`
	Version   string            `json:"version"`
	Failures  int               `json:"failures"`
	RetryInMS int64             `json:"retry_in_ms"`
	Sessions  map[string]string `json:"sessions"`

	// Optional.
	Addr           string `json:"addr"`
	LoginTimeoutMS int64  `json:"login_timeout_ms"`
	ReadTimeoutMS  int64  `json:"read_timeout_ms"`
}

type breakerMsg struct {
	from
	Since    stamp  `json:"since"`
	To       string `json:"to"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
	Failures int    `json:"failures"`
	RetryAt  stamp  `json:"retry_at"`
}

type buffersMsg struct {
	from
	Trigger   string            `json:"trigger"`
	Received  uint64            `json:"received"`
	Published uint64            `json:"published"`
	Filtered  uint64            `json:"filtered"`
	Queued    uint64            `json:"queued"`
	InFlight  uint64            `json:"in_flight"`
	Released  uint64            `json:"released"`  // optional: of a bridge with a standby
	StalledS  float64           `json:"stalled_s"` // optional: of an earlier bridge it is 0
	Dropped   map[string]uint64 `json:"dropped"`
	Outbox    Buffer            `json:"outbox"`
	Write     Buffer            `json:"write_buffer"`
	Pending   Buffer            `json:"pending_actions"`

	// Optional: a bridge of an earlier version has neither, and Rates is not known at first.
	Actions *actionsMsg `json:"actions"`
	Rates   *ratesMsg   `json:"rates"`
}

type actionsMsg struct {
	Answered uint64   `json:"answered"`
	Failed   uint64   `json:"failed"`
	P95MS    *float64 `json:"p95_ms"`
	refusedMsg
}

// ratesMsg is a second, over the last interval.
type ratesMsg struct {
	Received  float64 `json:"received"`
	Published float64 `json:"published"`
	Actions   float64 `json:"actions"`
}

type refusedMsg struct {
	Refused map[string]uint64 `json:"refused"`
	Last    *struct {
		At     stamp  `json:"at"`
		Action string `json:"action"`
		Kind   string `json:"kind"`
	} `json:"last_refused"`
}

type gapMsg struct {
	from
	From      stamp   `json:"from"`
	To        stamp   `json:"to"`
	Reason    string  `json:"reason"`
	Lost      *uint64 `json:"lost"`
	Restarted *bool   `json:"restarted"`
}

type haMsg struct {
	from
	Leader   string `json:"leader"`
	Term     uint64 `json:"term"`
	Since    stamp  `json:"since"`
	Reason   string `json:"reason"`
	Standbys []struct {
		Node   string          `json:"node"`
		State  string          `json:"state"`
		Reason string          `json:"reason"`
		Lag    json.RawMessage `json:"lag"`
		LagS   json.RawMessage `json:"lag_s"` // optional
	} `json:"standbys"`
}

type nodeMsg struct {
	from
	Version         string            `json:"version"`
	UptimeS         int64             `json:"uptime_s"`
	Servers         []string          `json:"servers"`
	Ready           []string          `json:"ready"`
	NATS            string            `json:"nats"`
	Connections     map[string]string `json:"connections"`
	Unanswered      []string          `json:"unanswered"`
	Delivery        string            `json:"delivery"`
	Way             string            `json:"way"`
	LogLinesLost    uint64            `json:"log_lines_lost"`
	AuditQueued     uint64            `json:"audit_queued"`
	AuditLost       uint64            `json:"audit_lost"`
	RequestsDropped uint64            `json:"requests_dropped"`
	RepliesDenied   uint64            `json:"replies_denied"`
	Streams         []Stream          `json:"streams"`
	State           Kept              `json:"state"`
	Leaf            *struct {
		Connected bool  `json:"connected"`
		Since     stamp `json:"since"`
	} `json:"leaf"`

	// Optional.
	StatusIntervalMS int64 `json:"status_interval_ms"`
	OutboxTotalBytes int64 `json:"outbox_total_bytes"`
	refusedMsg
}

// stamp is a time as a node says it. What is no time is the zero time.
type stamp struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	s.Time = parseTime(text)
	return nil
}

// parseTime reads RFC 3339; the zero time if it is none.
func parseTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() < 2000 || at.Year() > 9000 { // far enough from where durations overflow
		return time.Time{}
	}
	return at
}

// millis is n milliseconds as far as a duration of use goes.
func millis(n int64) time.Duration {
	return time.Duration(min(max(n, 0), int64(forecastLimit/time.Millisecond))) * time.Millisecond
}

// objectMsg is one of AMI_STATE, as far as it is used.
type objectMsg struct {
	State, Since, At                        string // State and Since of <server>.server: live, syncing, stale
	Queue, Interface, MemberName            string
	Status, Paused, PausedReason            string
	InCall, LastCall                        string
	Position, CallerIDNum, ConnectedLineNum string
	Channel, ChannelStateDesc               string
	Linkedid, Uniqueid                      string
	NotKept                                 map[string]string `json:"not_kept"` // of <server>.server
}

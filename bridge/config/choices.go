package config

import "github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"

// Delivery is how events are published.
type Delivery uint8

const (
	// DeliverJetStream keeps each event until the stream has acknowledged it.
	DeliverJetStream Delivery = iota
	// DeliverCore publishes at most once.
	DeliverCore
)

func (d Delivery) String() string { return setting.Choice(d, "jetstream", "core") }

// UnmarshalText accepts jetstream and core.
func (d *Delivery) UnmarshalText(text []byte) error {
	return setting.Choose(d, text, "jetstream", "core")
}

// EventHeaders are the headers that events have beside the bridge's own.
type EventHeaders uint8

const (
	// EventHeadersAMI adds none.
	EventHeadersAMI EventHeaders = iota
	// EventHeadersCloudEvents makes each event a CloudEvent as well.
	EventHeadersCloudEvents
)

func (h EventHeaders) String() string { return setting.Choice(h, "ami", "cloudevents") }

// UnmarshalText accepts ami and cloudevents.
func (h *EventHeaders) UnmarshalText(text []byte) error {
	return setting.Choose(h, text, "ami", "cloudevents")
}

// Audit is how Actions are recorded.
type Audit uint8

// The ways to record Actions.
const (
	AuditOn Audit = iota
	AuditStrict
	AuditOff
)

func (a Audit) String() string { return setting.Choice(a, "on", "strict", "off") }

// UnmarshalText accepts on, strict and off.
func (a *Audit) UnmarshalText(text []byte) error {
	return setting.Choose(a, text, "on", "strict", "off")
}

// Streams is what the bridge does about the streams it publishes into.
type Streams uint8

const (
	// StreamsManage creates what is missing.
	StreamsManage Streams = iota
	// StreamsVerify only checks.
	StreamsVerify
	// StreamsOff leaves them alone.
	StreamsOff
)

func (s Streams) String() string { return setting.Choice(s, "manage", "verify", "off") }

// UnmarshalText accepts manage, verify and off.
func (s *Streams) UnmarshalText(text []byte) error {
	return setting.Choose(s, text, "manage", "verify", "off")
}

// Web is where the page is served.
type Web uint8

const (
	// WebAuto serves it on a loopback address only.
	WebAuto Web = iota
	// WebOn serves it wherever HTTPAddr listens.
	WebOn
	// WebOff serves none.
	WebOff
)

func (w Web) String() string { return setting.Choice(w, "auto", "on", "off") }

// UnmarshalText accepts auto, on and off.
func (w *Web) UnmarshalText(text []byte) error { return setting.Choose(w, text, "auto", "on", "off") }

// WebNumbers is how much of a caller's number is shown.
type WebNumbers uint8

// The ways to show them: not at all, the last four digits, whole.
const (
	WebNumbersNone WebNumbers = iota
	WebNumbersLast4
	WebNumbersFull
)

func (n WebNumbers) String() string { return setting.Choice(n, "none", "last4", "full") }

// UnmarshalText accepts none, last4 and full.
func (n *WebNumbers) UnmarshalText(text []byte) error {
	return setting.Choose(n, text, "none", "last4", "full")
}

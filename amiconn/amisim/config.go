package amisim

import (
	"cmp"
	"crypto/tls"
	"strconv"
	"strings"
	"time"
)

// Config says what a Server is. The zero value of each field is usable.
type Config struct {
	// Version is the AMI version of the banner, "11.0.0" (Asterisk 22) if
	// empty. Up to "2.6.0" lists are in the form without EventList (Asterisk
	// before 13.2), and up to "2.x" a Command answers Response: Follows.
	Version string
	// Users maps usernames to secrets. Without one nobody can log in.
	Users map[string]string
	// Read is what "manager show user" says of every user's read=; all classes
	// if empty. No event is held back for it.
	Read string
	// Reads is the same of users by their names, in place of Read.
	Reads map[string]string
	// LoginPenalty is how long a refused login waits; Asterisk waits 1 s.
	LoginPenalty time.Duration
	// SingleLogin is allowmultiplelogin=no: one session a user.
	SingleLogin bool
	// AuthTimeout ends sessions that have not logged in; 30 s if 0.
	AuthTimeout time.Duration
	// WriteTimeout cuts a session whose peer takes nothing for that long, in
	// the middle of a frame if need be; 100 ms if 0, as in manager.conf.
	WriteTimeout time.Duration
	// NotBooted leaves out the FullyBooted event after a login.
	NotBooted bool
	// SystemName adds that header to asynchronous events, and TimestampEvents
	// a Timestamp, as the settings of asterisk.conf and manager.conf do.
	SystemName      string
	TimestampEvents bool
	// ClockSkew is added to the server's clock in Ping and Timestamp, until
	// SetClock.
	ClockSkew time.Duration
	// Proxy makes it an AMI proxy of that name: its banner says so, and each
	// frame begins with Server: Proxy, a Response also with its ActionID.
	Proxy string
	// NoActionID leaves the ActionID out of the answers to Challenge, Login and
	// Ping.
	NoActionID bool
	// TLS, if set, is spoken on every connection from its first byte. Such a
	// session has a real Asterisk's defect: of a record of more than 1024
	// bytes the rest waits until another arrives.
	TLS *tls.Config

	// Queues, Endpoints and Channels are what the lists show, besides the
	// calls of RunTraffic. Queues and Endpoints are a small demo if nil.
	Queues    []Queue
	Endpoints []string
	Channels  []string
	// Originate decides how an Originate goes; nil: answered after 50 ms.
	Originate func(a *Action) Originated
}

// Queue is a queue of app_queue and its members.
type Queue struct {
	Name    string
	Members []Member
}

// Member is a member of a Queue.
type Member struct {
	Name      string // "Zoë Ω"
	Interface string // "PJSIP/zoe"
}

// Originated is what becomes of an Originate.
type Originated struct {
	// Answer is when the call's fate is known, counted from the action: a
	// synchronous Originate answers then, and holds its session until then; an
	// asynchronous one sends its OriginateResponse then.
	Answer time.Duration
	// Ack holds back the reply to an asynchronous Originate. With Answer
	// shorter than Ack the OriginateResponse comes first.
	Ack time.Duration
	// Failed makes it fail. Reason is then the OriginateResponse's, such as 5
	// for busy; a call that was answered has 4.
	Failed bool
	Reason int
}

func (c *Config) setDefaults() {
	c.Version = cmp.Or(c.Version, "11.0.0")
	c.AuthTimeout = cmp.Or(c.AuthTimeout, 30*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 100*time.Millisecond)
	if c.Queues == nil {
		c.Queues = []Queue{
			{"support", []Member{{"Alice", "PJSIP/alice"}, {"Zoë Ω", "PJSIP/zoe"}, {"Bob", "PJSIP/bob"}}},
			{"sales", []Member{{"José Peña", "PJSIP/jose"}, {"李雷", "PJSIP/lilei"}}},
		}
	}
	if c.Endpoints == nil {
		c.Endpoints = []string{"alice", "bob", "jose", "lilei", "zoe", "trunk"}
	}
	if c.Originate == nil {
		c.Originate = func(*Action) Originated { return Originated{Answer: 50 * time.Millisecond} }
	}
}

// oldLists tells whether lists carry no EventList: Asterisk before 13.2.
func (c *Config) oldLists() bool {
	major, minor := c.version()
	return major < 2 || major == 2 && minor <= 6
}

// follows tells whether Command answers in the form of Asterisk 13 and before.
// Banner 2.8.0 is also Asterisk 14.0, which does not; it is taken for 13.
func (c *Config) follows() bool {
	major, _ := c.version()
	return major <= 2
}

func (c *Config) version() (major, minor int) {
	first, rest, _ := strings.Cut(c.Version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, _ = strconv.Atoi(first)
	minor, _ = strconv.Atoi(second)
	return major, minor
}

package bridge

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/docs/schemas"
)

// ServiceName is the name of the micro service (NATS ADR-32).
const ServiceName = "ami-bridge"

// service shows the endpoints as a micro service. It answers discovery itself,
// with package micro's messages: that package measures its callbacks, which
// here only hand over, and would show neither an error nor a duration of
// Asterisk's.
type service struct {
	info      micro.Info
	started   time.Time
	endpoints []*endpoint
	conn      *natsconn.Conn
	subs      []*natsconn.Subscription
}

// serve subscribes one endpoint a server, a group, any and all, so that
// discovery shows them and one server's requests wait for no other's.
func (s *service) serve() error {
	for i, e := range s.endpoints {
		shown := s.info.Endpoints[i]
		sub := &natsconn.Subscription{Subject: shown.Subject, Queue: shown.QueueGroup, Handle: e.onRequest, Made: e.arrive, Look: e.dropped.look}
		if err := s.add(sub); err != nil {
			return errors.Join(err, s.stop())
		}
	}
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info },
		micro.StatsVerb: func() any { return s.stats() },
	} {
		if err := s.discover(verb, answer); err != nil {
			return errors.Join(err, s.stop())
		}
	}
	// Only now do callers find the endpoints.
	return s.conn.Get().FlushTimeout(natsconn.FlushTimeout)
}

// newService describes the service of endpoints on c. The version is the program's.
func newService(node, version string, c *natsconn.Conn, endpoints []*endpoint) (*service, error) {
	metadata := map[string]string{"node": node}
	ids := make(map[string]string)
	for name, text := range map[string][]byte{"request_schema": schemas.Request, "reply_schema": schemas.Reply} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var schema struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		metadata[name], ids[name] = compact.String(), schema.ID
	}
	s := &service{
		endpoints: endpoints, conn: c, started: time.Now().UTC(),
		info: micro.Info{
			ServiceIdentity: micro.ServiceIdentity{
				Name: ServiceName, ID: rand.Text(), Version: serviceVersion(version), Metadata: metadata,
			},
			Type: micro.InfoResponseType, Description: "Actions of Asterisk's Manager Interface",
		},
	}
	for _, e := range endpoints {
		info := micro.EndpointInfo{
			Name: e.name, Subject: e.subject(), QueueGroup: micro.DefaultQueueGroup,
			Metadata: map[string]string{
				"kind": e.kind(), "servers": strings.Join(e.serverNames(), ","),
				"request_schema": ids["request_schema"], "reply_schema": ids["reply_schema"],
			},
		}
		if e.every {
			info.QueueGroup = "" // each bridge answers for its own servers
		}
		s.info.Endpoints = append(s.info.Endpoints, info)
	}
	return s, nil
}

// discover answers verb on its three subjects: for all services, for those of
// this name, and for this one.
func (s *service) discover(verb micro.Verb, answer func() any) error {
	for _, to := range [][2]string{{"", ""}, {s.info.Name, ""}, {s.info.Name, s.info.ID}} {
		subject, err := micro.ControlSubject(verb, to[0], to[1])
		if err != nil {
			return err
		}
		handle := func(m *nats.Msg) {
			// Whoever asked asks again: nothing else can be done about an error.
			if text, err := json.Marshal(answer()); err == nil {
				_ = m.Respond(text)
			}
		}
		if err := s.add(&natsconn.Subscription{Subject: subject, Handle: handle}); err != nil {
			return err
		}
	}
	return nil
}

// add keeps up sub, which others share by its queue, or which this process alone
// is to have without one.
func (s *service) add(sub *natsconn.Subscription) error {
	sub.Queue = cmp.Or(sub.Queue, s.info.ID)
	if err := s.conn.Keep(sub); err != nil {
		return err
	}
	s.subs = append(s.subs, sub)
	return nil
}

// stats are the figures of all endpoints. A request counts once it has ended.
func (s *service) stats() micro.Stats {
	stats := micro.Stats{ServiceIdentity: s.info.ServiceIdentity, Type: micro.StatsResponseType, Started: s.started}
	for i, e := range s.endpoints {
		d := e.tally.durations()
		data := e.tally.stats(&d)
		shown := &micro.EndpointStats{
			Name: e.name, Subject: s.info.Endpoints[i].Subject, QueueGroup: s.info.Endpoints[i].QueueGroup,
			NumRequests: int(data.Answered + data.Failed + data.Refused), NumErrors: int(data.Failed + data.Refused),
			ProcessingTime: d.sum, AverageProcessingTime: d.average(),
		}
		if last := e.tally.last.Load(); last != nil {
			// What else it says is that caller's.
			shown.LastError = last.Kind
		}
		shown.Data, _ = json.Marshal(data) // numbers and constants
		stats.Endpoints = append(stats.Endpoints, shown)
	}
	return stats
}

// stop takes no more requests; those that have come are still handled.
func (s *service) stop() error {
	var failed []error
	for _, sub := range s.subs {
		if err := s.conn.Stop(sub); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// semVer is what services have as a version, near enough.
var semVer = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

// serviceVersion is version if it is a SemVer, which services want.
func serviceVersion(version string) string {
	if version = strings.TrimPrefix(version, "v"); semVer.MatchString(version) {
		return version
	}
	return "0.0.0"
}

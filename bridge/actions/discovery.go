package actions

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/docs/schemas"
)

// ServiceName is the name of the micro service (NATS ADR-32).
const ServiceName = "ami-bridge"

// describe returns what discovery shows of the service. The version is the program's.
func describe(node, version string) (info micro.Info, err error) {
	metadata := map[string]string{"node": node}
	for name, text := range schemaTexts() {
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			return info, fmt.Errorf("%s: %w", name, err)
		}
		metadata[name] = compact.String()
	}
	return micro.Info{
		ServiceIdentity: micro.ServiceIdentity{
			Name: ServiceName, ID: rand.Text(), Version: serviceVersion(version), Metadata: metadata,
		},
		Type: micro.InfoResponseType, Description: "Actions of Asterisk's Manager Interface",
	}, nil
}

// schemaTexts are the schemas that discovery shows, by their names there.
func schemaTexts() map[string][]byte {
	return map[string][]byte{"request_schema": schemas.Request, "reply_schema": schemas.Reply}
}

// shown is what discovery shows of the service and its endpoints.
func (s *Service) shown() micro.Info {
	ids := make(map[string]string)
	for name, text := range schemaTexts() {
		var schema struct {
			ID string `json:"$id"`
		}
		_ = json.Unmarshal(text, &schema) // it is JSON, as describe has seen
		ids[name] = schema.ID
	}
	info := s.info
	for _, e := range s.Taken() {
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{
			Name: e.Name, Subject: e.Subject(), QueueGroup: e.queue(),
			Metadata: map[string]string{
				"kind": e.kind(), "servers": strings.Join(e.serverNames(), ","),
				"request_schema": ids["request_schema"], "reply_schema": ids["reply_schema"],
			},
		})
	}
	return info
}

// queue is the queue group that e shares with other bridges, empty if each is to have
// all requests: it answers for its own servers. Those that share servers have each request
// once: who gets it asks the others.
func (e *Endpoint) queue() string {
	if e.every && !e.isShared() {
		return ""
	}
	return micro.DefaultQueueGroup
}

// discover answers verb on its three subjects: for all services, for those of
// this name, and for this one. It needs mu.
func (s *Service) discover(verb micro.Verb, answer func() any) error {
	for _, to := range [][2]string{{"", ""}, {s.info.Name, ""}, {s.info.Name, s.info.ID}} {
		subject, err := micro.ControlSubject(verb, to[0], to[1])
		if err != nil {
			return err
		}
		handle := func(m *nats.Msg) {
			if !reply.IsInbox(m.Reply) {
				return // answering there would publish under the bridge's own rights
			}
			// Whoever asked asks again: nothing else can be done about an error.
			if text, err := json.Marshal(answer()); err == nil {
				_ = m.Respond(text)
			}
		}
		sub := &natsconn.Subscription{Subject: subject, Queue: s.info.ID, Handle: handle} // this process alone has it
		if err := s.conn.Add(sub); err != nil {
			return err
		}
		s.subs = append(s.subs, sub)
	}
	return nil
}

// stats are the figures of all endpoints. A request counts once it has ended.
func (s *Service) stats() micro.Stats {
	stats := micro.Stats{ServiceIdentity: s.info.ServiceIdentity, Type: micro.StatsResponseType, Started: s.started}
	for _, e := range s.Endpoints() {
		d := e.stats.durations()
		data := e.stats.stats(&d)
		shown := &micro.EndpointStats{
			Name: e.Name, Subject: e.Subject(), QueueGroup: e.queue(),
			NumRequests: int(data.Answered + data.Failed + data.Refused), NumErrors: int(data.Failed + data.Refused),
			ProcessingTime: d.sum, AverageProcessingTime: d.average(),
		}
		if last := e.stats.last.Load(); last != nil {
			// What else it says is that caller's.
			shown.LastError = string(last.Kind)
		}
		shown.Data, _ = json.Marshal(data) // numbers and constants
		stats.Endpoints = append(stats.Endpoints, shown)
	}
	return stats
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

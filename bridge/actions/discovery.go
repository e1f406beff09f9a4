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
	"github.com/ami-nats-bridge/ami-nats-bridge/docs/schemas"
)

// ServiceName is the name of the micro service (NATS ADR-32).
const ServiceName = "ami-bridge"

// describe returns what discovery shows of endpoints. The version is the program's.
func describe(node, version string, endpoints []*Endpoint) (info micro.Info, err error) {
	metadata := map[string]string{"node": node}
	ids := make(map[string]string)
	for name, text := range map[string][]byte{"request_schema": schemas.Request, "reply_schema": schemas.Reply} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			return info, fmt.Errorf("%s: %w", name, err)
		}
		var schema struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			return info, fmt.Errorf("%s: %w", name, err)
		}
		metadata[name], ids[name] = compact.String(), schema.ID
	}
	info = micro.Info{
		ServiceIdentity: micro.ServiceIdentity{
			Name: ServiceName, ID: rand.Text(), Version: serviceVersion(version), Metadata: metadata,
		},
		Type: micro.InfoResponseType, Description: "Actions of Asterisk's Manager Interface",
	}
	for _, e := range endpoints {
		shown := micro.EndpointInfo{
			Name: e.Name, Subject: e.Subject(), QueueGroup: micro.DefaultQueueGroup,
			Metadata: map[string]string{
				"kind": e.kind(), "servers": strings.Join(e.serverNames(), ","),
				"request_schema": ids["request_schema"], "reply_schema": ids["reply_schema"],
			},
		}
		if e.every {
			shown.QueueGroup = "" // each bridge answers for its own servers
		}
		info.Endpoints = append(info.Endpoints, shown)
	}
	return info, nil
}

// discover answers verb on its three subjects: for all services, for those of
// this name, and for this one.
func (s *Service) discover(verb micro.Verb, answer func() any) error {
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

// stats are the figures of all endpoints. A request counts once it has ended.
func (s *Service) stats() micro.Stats {
	stats := micro.Stats{ServiceIdentity: s.info.ServiceIdentity, Type: micro.StatsResponseType, Started: s.started}
	for i, e := range s.endpoints {
		d := e.stats.durations()
		data := e.stats.stats(&d)
		shown := &micro.EndpointStats{
			Name: e.Name, Subject: s.info.Endpoints[i].Subject, QueueGroup: s.info.Endpoints[i].QueueGroup,
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

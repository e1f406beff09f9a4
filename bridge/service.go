package bridge

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// ServiceName is the name of the micro service (NATS ADR-32).
const ServiceName = "ami-bridge"

// result is what became of a request.
type result uint8

const (
	resultAnswered result = iota
	resultFailed          // given to Asterisk, ended in an error
	resultRefused         // not given to Asterisk
	results
)

// String returns the result as metrics and statistics spell it.
func (r result) String() string { return [...]string{"answered", "failed", "refused"}[r] }

// actionCounts counts requests by result.
type actionCounts [results]atomic.Uint64

// serveActions registers the service with one endpoint a server, a group,
// any and all, so that discovery shows them and one server's requests wait for
// no other's.
func (b *Bridge) serveActions(nc *nats.Conn) (micro.Service, error) {
	service, err := micro.AddService(nc, micro.Config{
		Name: ServiceName, Version: serviceVersion(b.deps.Version),
		Description:  "Actions of Asterisk's Manager Interface",
		Metadata:     map[string]string{"node": b.cfg.Node},
		StatsHandler: b.endpointStats,
	})
	if err != nil {
		return nil, fmt.Errorf("add micro service: %w", err)
	}
	for _, e := range b.endpoints {
		subject := b.cfg.SubjectPrefix + ".actions." + e.name + ".*"
		options := []micro.EndpointOpt{micro.WithEndpointSubject(subject)}
		if e.every {
			// Each bridge answers for its own servers.
			options = append(options, micro.WithEndpointQueueGroupDisabled())
		}
		if err := service.AddEndpoint(e.name, micro.HandlerFunc(e.onRequest), options...); err != nil {
			return nil, errors.Join(fmt.Errorf("add endpoint %s: %w", subject, err), service.Stop())
		}
	}
	// Only now do callers find the endpoints.
	return service, nc.FlushTimeout(flushTimeout)
}

const flushTimeout = 5 * time.Second

// endpointStats adds what became of the Actions, which end after the callback.
func (b *Bridge) endpointStats(e *micro.Endpoint) any {
	for _, own := range b.endpoints {
		if e.Name == own.name {
			stats := make(map[string]uint64)
			for r := range results {
				stats[r.String()] = own.counts[r].Load()
			}
			return stats
		}
	}
	return nil
}

// semVer is what micro accepts as a version, near enough.
var semVer = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

// serviceVersion is version if it is a SemVer, which micro insists on.
func serviceVersion(version string) string {
	if version = strings.TrimPrefix(version, "v"); semVer.MatchString(version) {
		return version
	}
	return "0.0.0"
}

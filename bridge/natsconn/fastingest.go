package natsconn

import (
	"fmt"
)

// FastIngestSince reports whether a server of that version has fast ingest.
func FastIngestSince(version string) bool { return isSince(version, 14) }

// MessageTTLSince reports whether one lets a message expire by itself (Nats-TTL).
func MessageTTLSince(version string) bool { return isSince(version, 11) }

// isSince reports whether version is 2.minor or later, as one that cannot be read is:
// the first message will show.
func isSince(version string, minor int) bool {
	var have [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &have[0], &have[1]); err != nil {
		return true
	}
	return have[0] > 2 || have[0] == 2 && have[1] >= minor
}

// FastIngestEverywhere asks every server that is known, of a cluster those that it
// has told of, whether it has fast ingest. The error names one that has not, or
// that cannot be asked now. It takes up to ConnectTimeout a server.
func (c *Conn) FastIngestEverywhere() error {
	l := c.Get()
	for _, server := range l.Servers() {
		version := l.ConnectedServerVersion()
		if own := atHost(l.ConnectedUrl()); own == nil || server != own.Scheme+"://"+own.Host {
			nc, err := c.connectOnce(server)
			if err != nil {
				return fmt.Errorf("a server cannot be asked: %w", err)
			}
			version = nc.ConnectedServerVersion()
			nc.Close()
		}
		if !FastIngestSince(version) {
			return fmt.Errorf("a server is nats-server %s", version)
		}
	}
	return nil
}

package natsconn

import (
	"fmt"
)

// FastIngestSince reports whether a server of that version has fast ingest.
func FastIngestSince(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return true // the first event will show
	}
	return major > 2 || major == 2 && minor >= 14
}

// FastIngestEverywhere asks every server that is known, of a cluster those that it
// has told of, whether it has fast ingest. The error names one that has not, or
// that cannot be asked now. It takes up to ConnectTimeout a server.
func (c *Conn) FastIngestEverywhere() error {
	l := c.Get()
	for _, url := range l.Servers() {
		version := l.ConnectedServerVersion()
		if url != l.ConnectedUrl() {
			nc, err := c.connectOnce(url)
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

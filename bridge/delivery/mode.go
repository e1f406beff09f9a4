package delivery

import (
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// choose takes up fast ingest where the server may have it. Whether the stream
// has it shows with the first event.
func (p *Publisher) choose() {
	if p.fast == nil {
		return
	}
	mode, why := p.modeAt(p.nc.ConnectedServerVersion())
	if p.mode != nil && p.mode != mode {
		p.failAll(errNewMode)
	}
	p.use(mode, why)
}

// modeAt returns how a nats-server of that version is to acknowledge, and why it is
// not by fast ingest.
func (p *Publisher) modeAt(version string) (ackMode, error) {
	if !natsconn.FastIngestSince(version) && p.lead == nil {
		return p.windowed, errNoFastIngest
	}
	return p.fast, nil
}

// reconsider says that the stream takes events, if it does and none is refused beside them, or that another
// does as well, and takes up fast ingest when it has been given that.
func (p *Publisher) reconsider() {
	if p.windowed == nil {
		return
	}
	p.tellDomain()
	var stored uint64
	for _, s := range p.all() {
		stored += s.Outbox.Stores()
	}
	if stored != p.stored && !p.anyRefused() {
		p.stored = stored
		p.streams.Published(streams.EventStream)
	}
	if p.mode.name() == modeWindow && p.fast != nil && p.streams.TakesBatches() && p.nc.IsConnected() {
		p.choose()
	}
}

// use makes d the mode from now on. What another mode has sent must be acknowledged
// or have failed before.
func (p *Publisher) use(d ackMode, why error) {
	p.mode = d
	p.window.setBatched(p.batched())
	if p.modeName.Swap(d.name()) == d.name() {
		return
	}
	if why != nil {
		p.log.Warn("events are acknowledged one by one", zap.String("way", d.name()), zap.Error(why))
		return
	}
	p.log.Info("ack mode", zap.String("mode", d.name()))
}

// batched reports whether one event's failure is that of all behind it.
func (p *Publisher) batched() bool { return p.mode.name() == modeFast }

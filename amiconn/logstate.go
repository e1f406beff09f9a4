package amiconn

import (
	"time"

	"go.uber.org/zap"
)

const (
	// lasting is for how long a session is up that no longer flaps.
	lasting = 5 * time.Minute
	// fewFalls of sessions that did not last are logged, one by one.
	fewFalls = 3
)

// logState is what the log has said of one session, or of the breaker, since it was
// last well, so that an outage of hours is not logged again with each try, nor a
// server that comes up and falls each time that it does. What is no news is logged
// at debug.
type logState struct {
	reasons map[Reason]bool
	down    bool // the log has it as lost, or not up yet
	lasted  bool // the session has
	falls   int  // in a row, of sessions that have not
	up      Change
}

// news reports whether c is to be logged for who reads what is new: a session that
// comes up, or a loss whose reason was not logged yet, or that was not logged at all. Behind fewFalls the next session has to last first, see proven.
func (t *logState) news(c *Change) bool {
	switch {
	case c.To == StateUp:
		if t.up = *c; t.falls >= fewFalls {
			return false
		}
		t.down, t.reasons = false, nil
		return true
	case c.To != StateWaiting || c.overruled:
		return false
	}
	if c.From == StateUp {
		if t.lasted {
			t.falls, t.lasted = 0, false
		}
		t.falls++
	}
	return t.lost(c.Reason)
}

// lost notes a loss and reports whether it is news.
func (t *logState) lost(why Reason) bool {
	known := t.down && t.reasons[why]
	if t.reasons == nil {
		t.reasons = make(map[Reason]bool)
	}
	t.reasons[why], t.down = true, true
	return !known
}

// proven notes that the session has lasted. It returns its coming up if that is to
// be logged now because it was not before.
func (t *logState) proven() (up Change, late bool) {
	late = t.down
	up, *t = t.up, logState{lasted: true}
	return up, late
}

// onStable is called each StableAfter that the session of s is up.
func (l *Link) onStable(s *slot) {
	l.mu.Lock()
	var up Change
	late := false
	if time.Since(s.since) >= lasting {
		up, late = s.logged.proven()
	}
	l.mu.Unlock()
	if late {
		l.logUp(&up)
	}
}

// logChange warns of each session that is lost or does not come up, if it is news.
func (l *Link) logChange(c Change, news bool) {
	switch {
	case c.To == StateUp && news:
		l.logUp(&c)
	case c.To == StateWaiting && !c.overruled:
		level := zap.WarnLevel
		if !news {
			level = zap.DebugLevel
		}
		l.logger().Log(level, "session lost", append(stateFields(&c), zap.String("reason", string(c.Reason)), zap.Int("failures", c.Failures),
			zap.Duration("delay", c.RetryIn), zap.Error(c.Err))...)
	default:
		l.logger().Debug("session state", stateFields(&c)...)
	}
}

func (l *Link) logUp(c *Change) {
	l.logger().Info("session up", append(stateFields(c), zap.String("session", c.Session), zap.String("version", c.Version))...)
}

func stateFields(c *Change) []zap.Field {
	return []zap.Field{zap.String("role", c.Name), zap.Stringer("from", c.From), zap.Stringer("to", c.To)}
}

// onBreaker logs a change of the breaker and tells the hook. That a probe is let
// through and fails as before is no news. It is called with the breaker's lock
// held, which guards what was logged.
func (l *Link) onBreaker(c BreakerChange) {
	fields := []zap.Field{
		zap.String("from", string(c.From)), zap.String("to", string(c.To)), zap.String("reason", string(c.Reason)),
		zap.Int("failures", c.Failures),
	}
	switch {
	case c.To == BreakerHalfOpen:
		l.logger().Debug("breaker changed", fields...)
	case c.To == BreakerOpen:
		level := zap.WarnLevel
		if !l.opened.lost(c.Reason) {
			level = zap.DebugLevel
		}
		l.logger().Log(level, "breaker opened", append(fields, zap.Duration("delay", c.RetryIn), zap.Error(c.Err))...)
	case c.From != c.To:
		l.opened = logState{}
		l.logger().Info("breaker changed", fields...)
	}
	if l.deps.Hooks.Breaker != nil {
		l.deps.Hooks.Breaker(c)
	}
}

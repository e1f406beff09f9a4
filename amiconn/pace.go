package amiconn

import (
	"math/rand/v2"
	"time"
)

const (
	// shortOutage is how long an outage is taken for a restart: Asterisk may
	// greet at any moment.
	shortOutage = 2 * time.Minute
	// shortWait is the longest wait in one, and the first cooldown of the
	// breaker: with the login behind it, who greets is served within a second.
	shortWait = 800 * time.Millisecond
	// shortDial is how long a connect may then go without an answer. The kernel
	// asks again after 1, 3 and 7 s: by then a new one asks sooner.
	shortDial = 3 * time.Second
)

// pace grows the waits of one outage. It doubles from BackoffMin to shortWait,
// stays there while the outage is short, and goes on to BackoffMax and
// BreakerCooldown. A server that lets in and falls more than BreakerFailures
// times is not one that restarts: it gets no such grace.
type pace struct {
	cfg   *Config
	began time.Time     // the outage, at its first failure
	step  time.Duration // of the last wait, before its jitter and its bounds
	falls int           // sessions that did not stay up for StableAfter
}

// next returns how long to wait after a failure, half of its step at the least.
// While the breaker is open that is a cooldown too.
func (p *pace) next(now time.Time, open bool) time.Duration {
	if p.began.IsZero() {
		p.began = now
	}
	p.step = min(max(2*p.step, p.cfg.BackoffMin), max(p.cfg.BackoffMax, p.cfg.BreakerCooldown))
	if p.early(now) {
		p.step = min(p.step, max(shortWait, p.cfg.BackoffMin))
	}
	wait := min(p.step, p.cfg.BackoffMax)
	if open {
		wait = max(wait, min(max(p.step, shortWait), p.cfg.BreakerCooldown))
	}
	return jitter(wait)
}

func (p *pace) early(now time.Time) bool {
	return now.Sub(p.began) < shortOutage && p.falls <= p.cfg.BreakerFailures
}

// ownWait is the n'th wait, from 0, of a session that fails while others of its
// kind stand.
func ownWait(n int, cfg *Config) time.Duration {
	return jitter(doubled(cfg.BackoffMin, n, cfg.BackoffMax))
}

// afterRefusal is how long nobody logs in after the n'th refusal in a row, from
// 0. Of a wrong secret, user or ACL Asterisk logs one line or two each time
// (manager.c authenticate), and as many security events: with a minute and then
// ten there are never more than two tries within ten minutes, which fail2ban's
// default of 5 lines in 10 minutes does not take for an attack. A login that is
// in use is no such line, and often ends by itself, once Asterisk notices that
// the other session is dead.
func afterRefusal(n int, inUse bool, cfg *Config) time.Duration {
	switch {
	case inUse:
		return doubled(inUseWait, n, max(longInUseWait, cfg.BackoffMax))
	case n == 0:
		return refusalWait
	}
	return longRefusalWait
}

const (
	refusalWait     = time.Minute
	longRefusalWait = 10 * time.Minute
	inUseWait       = 5 * time.Second
	longInUseWait   = 2 * time.Minute
)

// doubled returns d doubled n times, most at the most.
func doubled(d time.Duration, n int, most time.Duration) time.Duration {
	for range n {
		if d >= most {
			break
		}
		d *= 2
	}
	return min(d, most)
}

// jitter takes up to half off, so that servers which fell together do not come
// back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

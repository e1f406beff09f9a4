package standby

import "time"

// Answers are what a leader says of one server to those that are joining. They are not safe
// for concurrent use.
type Answers struct{ all []asked }

// asked is the newest probe of a node.
type asked struct {
	Answer
	epoch    string
	since    time.Time // it is known
	last     time.Time // it came
	answered bool
}

// Ask takes in the probe of a node; 0: it has none. It reports whether a Ping is to be asked.
// When maxAnswers are joining already another one waits until one of them has joined.
func (a *Answers) Ask(node string, probe uint64, now time.Time) (ping bool) {
	for i := range a.all {
		switch one := &a.all[i]; {
		case one.Node != node:
			continue
		case probe == 0:
			a.all = append(a.all[:i], a.all[i+1:]...)
			return false
		case one.Probe == probe:
			one.last = now
			return !one.answered
		default:
			*one = asked{Answer: Answer{Node: node, Probe: probe}, since: now, last: now}
			return true
		}
	}
	if probe == 0 || len(a.all) == maxAnswers {
		return false
	}
	a.all = append(a.all, asked{Answer: Answer{Node: node, Probe: probe}, since: now, last: now})
	return true
}

// Wait reports whether one waits for its answer: a Ping is to be asked.
func (a *Answers) Wait() bool {
	for i := range a.all {
		if !a.all[i].answered {
			return true
		}
	}
	return false
}

// Pong takes in that a Ping was answered which was asked then, and that n events of the
// epoch were read by now.
func (a *Answers) Pong(asked time.Time, epoch string, n uint64) {
	for i := range a.all {
		if one := &a.all[i]; !one.answered && asked.After(one.since) {
			one.answered, one.epoch, one.N = true, epoch, n
		}
	}
}

// Of returns the answers of the epoch, and forgets those who have been silent since.
func (a *Answers) Of(epoch string, since time.Time) (all []Answer) {
	kept := a.all[:0]
	for _, one := range a.all {
		if one.last.Before(since) {
			continue
		}
		kept = append(kept, one)
		if one.answered && one.epoch == epoch {
			all = append(all, one.Answer)
		}
	}
	a.all = kept
	return all
}

// Clear forgets all: the session has ended, or this bridge leads no more.
func (a *Answers) Clear() { a.all = a.all[:0] }

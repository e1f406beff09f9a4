package ha

import (
	"testing"
	"time"
)

func TestTwo_LeaderIsCutOff(t *testing.T) {
	p := newPair(t)
	p.start("b1")
	p.start("b2")
	leader := p.settled()
	for range 4 {
		p.emit(500)
		heal := p.cut(leader)
		p.emit(500)
		next := p.settled()
		p.emit(100)
		heal()
		p.emit(100)
		leader = p.settled()
		t.Log(next, leader)
	}
	p.verify()
}

var _ time.Duration

package actions

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// A panic over one request stays there, and the next one is answered.
func TestEndpoint_APanicStaysWithItsRequest(t *testing.T) {
	core, lines := observer.New(zapcore.ErrorLevel)
	a := unconnected(t, "pbx1")
	a.shared.log = zap.New(core)
	e := a.endpoint("pbx1")
	sound := e.behind.Swap(&behind{servers: []*Target{nil}})
	e.onRequest(requestFor("pbx1", "Ping", ""))
	handed := requestFor("pbx1", "Ping", "", headerSubject, "ami.actions.pbx1.Ping")
	handed.Subject, handed.Reply = "ami.ha.actions.pbx1.Ping", "ami.ha.replies.x.1"
	e.onHanded(handed)
	e.behind.Store(sound)
	if told := lines.FilterMessage("request handler panicked").All(); len(told) != 2 || told[0].ContextMap()["subject"] != "ami.actions.pbx1.Ping" {
		t.Errorf("told: %v", told)
	}
	if got := a.reply(requestFor("pbx1", "Ping", "")); got.Header.Get("Nats-Service-Error-Code") != "503" {
		t.Errorf("the next one: %s", got.Data)
	}
}

package logging

import "github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"

// Redactor takes secrets out of log lines. It is safe for concurrent use.
type Redactor struct{ *redact.Redactor }

// NewRedactor returns a Redactor of what o says.
func NewRedactor(o redact.Options) *Redactor { return &Redactor{redact.New(o)} }

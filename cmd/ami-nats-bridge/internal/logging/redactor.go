package logging

import "github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"

// Redactor takes secrets out of log lines. It is safe for concurrent use.
type Redactor struct{ *redact.Redactor }

func NewRedactor(o redact.Options) *Redactor { return &Redactor{redact.New(o)} }

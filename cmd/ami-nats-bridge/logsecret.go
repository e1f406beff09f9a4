package main

import "github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"

// redactor takes secrets out of log lines. It is safe for concurrent use.
type redactor struct{ *redact.Redactor }

func redacting(o redact.Options) *redactor { return &redactor{redact.New(o)} }

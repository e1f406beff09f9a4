package main

import (
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

type field = telling.Field

// fieldsOf returns the members of a JSON object in their order, each as a text
// in one line; nil if raw is none.
func fieldsOf(raw []byte) []field { return telling.Fields(raw, terminal.Printable) }

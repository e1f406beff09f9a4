package main

import (
	"context"
	"errors"

	"github.com/nats-io/jsm.go/natscontext"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// contextPlace is what a context of the nats command line says, which from named.
func contextPlace(name, from string) (place, error) {
	c, err := natscontext.New(name, true)
	if errors.Is(err, natscontext.ErrNotFound) || errors.Is(err, natscontext.ErrInvalidName) {
		known, _ := natscontext.NewRegistry(natscontext.NewDefaultFileBackend()).List(context.Background()) // none, if they cannot be read
		return place{}, usage("%s: %s", from, catalog.Unlike("context of the nats command line", name, known))
	}
	if err != nil {
		return place{}, usage("%s: %v", from, err)
	}
	opts, err := c.NATSOptions()
	if err != nil {
		return place{}, usage("%s: %v", from, err)
	}
	api := c.JSAPIPrefix()
	if domain := c.JSDomain(); api == "" && domain != "" {
		api = "$JS." + domain + ".API"
	}
	return place{nats: config.NATSConfig{URL: c.ServerURL()}, opts: opts, api: api, from: from}.checked()
}

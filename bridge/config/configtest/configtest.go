package configtest

import "github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"

// Valid is one of two servers and a group, with nothing wrong.
func Valid() config.Config {
	cfg := config.DefaultConfig()
	cfg.Node = "b1"
	for _, name := range []string{"pbx1", "pbx-2"} {
		own := config.DefaultServerConfig()
		own.Name, own.Addr, own.Username, own.Secret = name, "h:1", "u", "s3cret"
		cfg.Servers = append(cfg.Servers, own)
	}
	cfg.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx1", "pbx-2"}}}
	return cfg
}

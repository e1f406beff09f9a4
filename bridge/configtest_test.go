package bridge

// theConfig is one of two servers and a group, with nothing wrong.
func theConfig() Config {
	cfg := DefaultConfig()
	cfg.Node = "b1"
	for _, name := range []string{"pbx1", "pbx-2"} {
		own := DefaultServerConfig()
		own.Name, own.Addr, own.Username, own.Secret = name, "h:1", "u", "s3cret"
		cfg.Servers = append(cfg.Servers, own)
	}
	cfg.Groups = []Group{{Name: "sales", Servers: []string{"pbx1", "pbx-2"}}}
	return cfg
}

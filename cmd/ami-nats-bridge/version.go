package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

func goVersion() string { return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH }

// version is what the Go toolchain recorded of the module or of the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return revision + dirty
}

type versionCmd struct{ outputFlag }

// Run prints the version.
func (c *versionCmd) Run(std stdio) error {
	if c.json() {
		return json.NewEncoder(std.out).Encode(map[string]string{"version": version(), "go": goVersion()})
	}
	_, err := fmt.Fprintln(std.out, "ami-nats-bridge", version(), goVersion())
	return err
}

// versionFlag prints the version in place of a command.
type versionFlag bool

// BeforeReset is called by kong for the flag.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	_, err := fmt.Fprintln(app.Stdout, "ami-nats-bridge", version(), goVersion())
	app.Exit(0)
	return err
}

package main

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

func goVersion() string { return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH }

// release is what the linker is told (-X main.release=v1.2.3) by whoever builds
// without the repository, such as the Dockerfile. Nothing changes it.
var release string

// version is the release, or else what the Go toolchain recorded of the module or
// of the commit, as a SemVer: services want one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return versionOf(release, info)
}

func versionOf(release string, info *debug.BuildInfo) string {
	if release == "" && info.Main.Version != "(devel)" {
		release = info.Main.Version
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if release == "" && revision != "" {
		release = revision + dirty
	}
	switch {
	case release == "":
		return "0.0.0-devel"
	case semVer.MatchString(release):
		return release
	default: // a commit, of a repository without tags
		return "0.0.0-devel." + release
	}
}

// semVer is a version of https://semver.org, with or without a v before it.
var semVer = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

type versionCmd struct{ outputFlag }

// Run prints the version.
func (c *versionCmd) Run(std stdio) error {
	if c.json() {
		return encodeLine(std.out, map[string]string{"version": version(), "go": goVersion()})
	}
	_, err := fmt.Fprintln(std.out, "ami-nats-bridge", version(), goVersion())
	return err
}

// versionFlag prints the version in place of a command.
type versionFlag bool

// BeforeReset is called by kong for the flag.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	if _, err := fmt.Fprintln(app.Stdout, "ami-nats-bridge", version(), goVersion()); err != nil {
		return err
	}
	app.Exit(0)
	return nil
}

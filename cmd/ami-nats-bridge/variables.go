package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// row is one variable as the config command shows it.
type row struct {
	name, value, byDefault, from, meaning string
}

// variable is a name that envconfig reads, and the value in the struct.
type variable struct{ name, value string }

// variables asks envconfig itself what it reads into spec, so that there is no
// second list of names to keep.
func variables(prefix string, spec any) []variable {
	var all []variable
	add := func(name string, field reflect.Value) string {
		all = append(all, variable{name, show(name, field)})
		return ""
	}
	list := template.Must(template.New("").Funcs(template.FuncMap{"add": add}).
		Parse(`{{range .}}{{add .Key .Field}}{{end}}`))
	if err := envconfig.Usaget(prefix, spec, io.Discard, list); err != nil {
		return nil // spec is no pointer to a struct: the tests would have said so
	}
	return all
}

// show prints a value as the environment spells it, without secrets.
func show(name string, field reflect.Value) string {
	if d, ok := field.Interface().(time.Duration); ok {
		text := d.String()
		if strings.HasSuffix(text, "m0s") {
			text = strings.TrimSuffix(text, "0s")
		}
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	}
	text := fmt.Sprint(field.Interface())
	if strings.HasSuffix(name, "_URL") {
		text = redactURLs(text)
	}
	return terminal.Printable(text)
}

// redactURLs hides user, password and token in a list of URLs. It does not
// parse them: what cannot be parsed may hold a password too.
func redactURLs(list string) string {
	urls := strings.Split(list, ",")
	for i, u := range urls {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			scheme, rest = "", u
		}
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			rest = "[redacted]" + rest[at:]
		}
		if ok {
			rest = scheme + "://" + rest
		}
		urls[i] = rest
	}
	return strings.Join(urls, ",")
}

// validURLs reports whether NATS can parse each URL of list. What it cannot
// parse it would quote in its error, password and all.
func validURLs(list string) bool {
	for u := range strings.SplitSeq(list, ",") {
		if parsed, err := url.Parse(withScheme(u)); err != nil || parsed.Host == "" {
			return false
		}
	}
	return true
}

// withScheme is the URL u, which may leave out nats://.
func withScheme(u string) string {
	if u = strings.TrimSpace(u); !strings.Contains(u, "://") {
		u = "nats://" + u
	}
	return u
}

// wantsURLs is what a list of URLs has to be.
const wantsURLs = "wants URLs such as nats://10.0.0.1:4222, separated by commas"

// rows lists the variables: those of the process, those of every server, and
// for each server what it must have or has of its own.
func (s *settings) rows() []row {
	defaults := defaultSettings()
	all := s.joinRows("", variables(prefix, &s.process), variables(prefix, &defaults.process))
	all = append(all, s.joinRows("", variables(prefix, &s.bridge), variables(prefix, &defaults.bridge))...)
	slices.SortStableFunc(all, func(a, b row) int {
		return cmp.Compare(order(a.name), order(b.name))
	})
	all = append(all, s.groupRows()...)
	all = append(all, s.joinRows("AMI_", variables(amiPrefix, &s.base), variables(amiPrefix, &defaults.base))...)
	common := variables(amiPrefix, &s.base)
	for i := range s.bridge.Servers {
		server := &s.bridge.Servers[i]
		own := serverPrefix + bridge.VariableName(server.Name)
		for j, r := range s.joinRows("AMI_", variables(own, server), common) {
			if r.from == "default" && r.value != "" && s.source(common[j].name) != "default" {
				r.from = common[j].name
			}
			all = append(all, r)
		}
	}
	for i := range all {
		if slices.Contains(s.refused, all[i].name) {
			all[i].from = "refused"
		}
	}
	return all
}

// groupRows are the groups, or the form that their names have.
func (s *settings) groupRows() []row {
	if len(s.bridge.Groups) == 0 {
		return []row{{name: groupPrefix + "<NAME>", from: "default", meaning: meanings["GROUP_"]}}
	}
	var all []row
	for _, g := range s.bridge.Groups {
		name := groupPrefix + bridge.VariableName(g.Name)
		all = append(all, row{name, strings.Join(g.Servers, ","), "", s.source(name), meanings["GROUP_"]})
	}
	return all
}

// order puts BRIDGE_SERVERS first, for nothing works without it.
func order(name string) int {
	if name == prefix+"_SERVERS" {
		return 0
	}
	return 1
}

func (s *settings) joinRows(group string, now, byDefault []variable) []row {
	all := make([]row, len(now))
	for i, v := range now {
		var setting string
		if group == "" {
			setting = strings.TrimPrefix(v.name, prefix+"_")
		} else {
			setting = group + strings.TrimPrefix(byDefault[i].name, amiPrefix+"_")
		}
		all[i] = row{v.name, v.value, byDefault[i].value, s.source(v.name), meanings[setting]}
	}
	for i := range all { // a secret is what its file has
		file := slices.IndexFunc(all, func(r row) bool { return r.name == all[i].name+"_FILE" })
		if file >= 0 && all[i].value == "" && all[file].value != "" {
			all[i].value, all[i].from = redact.Hidden, "file"
		}
	}
	return all
}

// source says what gave a variable its value.
func (s *settings) source(name string) string { return cmp.Or(s.given[name].from, "default") }

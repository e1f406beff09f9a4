package env

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// Row is one variable as the config command shows it.
type Row struct {
	Name, Value, ByDefault, From, Meaning string
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
	switch {
	case strings.HasSuffix(name, "_URL"):
		text = RedactURLs(text)
	case isSecretInPlaceOfFile(name, text):
		text = redact.Hidden
	}
	return terminal.Printable(text)
}

var secretFile = regexp.MustCompile(`_(SECRET|PASSWORD|TOKEN|CREDS)_FILE$`)

// isSecretInPlaceOfFile reports whether text, which is to name a secret's file, may be the secret itself.
func isSecretInPlaceOfFile(name, text string) bool {
	return text != "" && text[0] != '/' && text[0] != '.' && secretFile.MatchString(name)
}

// RedactURLs hides user, password and token in a list of URLs. It does not
// parse them: what cannot be parsed may hold a password too, and a password a comma.
func RedactURLs(list string) string {
	urls := strings.Split(list, ",")
	goesOn := false // what is behind may be the end of a password that begins here
	for i, u := range slices.Backward(urls) {
		scheme, rest, hasScheme := strings.Cut(u, "://")
		if !hasScheme {
			rest = u
		}
		switch at := strings.LastIndexByte(rest, '@'); {
		case at >= 0:
			rest, goesOn = redact.Hidden+rest[at:], true
		case goesOn:
			rest = redact.Hidden
		}
		if urls[i] = rest; hasScheme {
			urls[i], goesOn = scheme+"://"+rest, false
		}
	}
	return strings.Join(urls, ",")
}

// ValidURLs reports whether NATS can parse each URL of list. What it cannot
// parse it would quote in its error, password and all.
func ValidURLs(list string) bool {
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

// WantsURLs is what a list of URLs has to be.
const WantsURLs = "wants URLs such as nats://10.0.0.1:4222, separated by commas"

// Rows lists the variables: those of the process, those of every server, and
// for each server what it must have or has of its own.
func (s *Settings) Rows() []Row {
	defaults := Defaults()
	all := s.joinRows("", variables(Prefix, &s.process), variables(Prefix, &defaults.process))
	all = append(all, s.joinRows("", variables(Prefix, &s.Bridge), variables(Prefix, &defaults.Bridge))...)
	slices.SortStableFunc(all, func(a, b Row) int {
		return cmp.Compare(order(a.Name), order(b.Name))
	})
	all = append(all, s.groupRows()...)
	common := variables(amiPrefix, &s.Base)
	all = append(all, s.joinRows("AMI_", common, variables(amiPrefix, &defaults.Base))...)
	for i := range s.Bridge.Servers {
		server := &s.Bridge.Servers[i]
		own := ServerPrefix + config.VariableName(server.Name)
		for j, r := range s.joinRows("AMI_", variables(own, server), common) {
			if r.From == "default" && r.Value != "" && s.source(common[j].name) != "default" {
				r.From = common[j].name
			}
			all = append(all, r)
		}
	}
	for i := range all {
		if slices.Contains(s.refused, all[i].Name) {
			all[i].From = "refused"
		}
	}
	return all
}

// groupRows are the groups, or the form that their names have.
func (s *Settings) groupRows() []Row {
	if len(s.Bridge.Groups) == 0 {
		return []Row{{Name: groupPrefix + "<NAME>", From: "default", Meaning: meanings["GROUP_"]}}
	}
	var all []Row
	for _, g := range s.Bridge.Groups {
		name := groupPrefix + config.VariableName(g.Name)
		all = append(all, Row{name, strings.Join(g.Servers, ","), "", s.source(name), meanings["GROUP_"]})
	}
	return all
}

// order puts BRIDGE_SERVERS first, for nothing works without it.
func order(name string) int {
	if name == Prefix+"_SERVERS" {
		return 0
	}
	return 1
}

func (s *Settings) joinRows(group string, now, byDefault []variable) []Row {
	all := make([]Row, len(now))
	for i, v := range now {
		var setting string
		if group == "" {
			setting = strings.TrimPrefix(v.name, Prefix+"_")
		} else {
			setting = group + strings.TrimPrefix(byDefault[i].name, amiPrefix+"_")
		}
		all[i] = Row{v.name, v.value, byDefault[i].value, s.source(v.name), meanings[setting]}
	}
	for i := range all { // a secret is what its file has
		file := slices.IndexFunc(all, func(r Row) bool { return r.Name == all[i].Name+"_FILE" })
		if file >= 0 && all[i].Value == "" && all[file].Value != "" {
			all[i].Value, all[i].From = redact.Hidden, "file"
		}
	}
	return all
}

// source says what gave a variable its value.
func (s *Settings) source(name string) string { return cmp.Or(s.Given[name].from, "default") }

package subject

// Subjects are the subjects of one server, made once.
type Subjects struct {
	prefix, server string
	// events holds the subject of each event seen. Names come from Asterisk's
	// source, so they are few and short; MaxNames and MaxToken bound what a broken peer could
	// make of it.
	events map[string]string
}

const (
	MaxNames = 1024
	MaxToken = 64
)

// New returns the subjects of a server, which begin with prefix.
func New(prefix, server string) *Subjects {
	return &Subjects{prefix: prefix, server: server, events: make(map[string]string)}
}

// Event returns the subject of the event called name. It is for the reader's
// goroutine and allocates only for a name that it has not seen.
func (s *Subjects) Event(name []byte) string {
	if subject, ok := s.events[string(name)]; ok {
		return subject
	}
	subject := s.prefix + ".events." + s.server + "." + Token(name)
	if len(name) <= MaxToken && len(s.events) < MaxNames {
		s.events[string(name)] = subject
	}
	return subject
}

// All is the filter for every event of the server.
func (s *Subjects) All() string { return s.prefix + ".events." + s.server + ".>" }

// Term is where bridges that share the server write which of them leads it.
func (s *Subjects) Term() string { return s.prefix + ".terms." + s.server }

// Gap is the subject of the server's Gap events.
func (s *Subjects) Gap() string { return s.prefix + ".events." + s.server + ".Gap" }

// Status is the key of a state of the server; part tells apart those that share
// the subject.
func (s *Subjects) Status(what, part string) Key {
	return Key{Subject: s.prefix + ".status." + s.server + "." + what, Part: part}
}

// Token turns a name into one subject token: what is outside A-Z a-z 0-9 _ -
// becomes _, and so does an empty name.
func Token(name []byte) string {
	if len(name) == 0 {
		return "_"
	}
	t := make([]byte, min(len(name), MaxToken))
	for i := range t {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			t[i] = c
		} else {
			t[i] = '_'
		}
	}
	return string(t)
}

// Key is a kind of state: a subject and, where several states share it,
// which one.
type Key struct{ Subject, Part string }

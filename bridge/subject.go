package bridge

// subjects are the subjects of one server, made once.
type subjects struct {
	prefix, server string
	// events holds the subject of each event seen. Names come from Asterisk's
	// source, so they are few and short; maxEventNames and maxEventToken bound what a broken peer could
	// make of it.
	events map[string]string
}

const (
	maxEventNames = 1024
	maxEventToken = 64
)

func newSubjects(prefix, server string) *subjects {
	return &subjects{prefix: prefix, server: server, events: make(map[string]string)}
}

// event returns the subject of the event called name. It is for the reader's
// goroutine and allocates only for a name that it has not seen.
func (s *subjects) event(name []byte) string {
	if subject, ok := s.events[string(name)]; ok {
		return subject
	}
	subject := s.prefix + ".events." + s.server + "." + token(name)
	if len(name) <= maxEventToken && len(s.events) < maxEventNames {
		s.events[string(name)] = subject
	}
	return subject
}

// all is the filter for every event of the server.
func (s *subjects) all() string { return s.prefix + ".events." + s.server + ".>" }

func (s *subjects) gap() string { return s.prefix + ".events." + s.server + ".Gap" }

// status is the key of a state of the server; part tells apart those that share
// the subject.
func (s *subjects) status(what, part string) statusKey {
	return statusKey{subject: s.prefix + ".status." + s.server + "." + what, part: part}
}

// token turns a name into one subject token: what is outside A-Z a-z 0-9 _ -
// becomes _, and so does an empty name.
func token(name []byte) string {
	if len(name) == 0 {
		return "_"
	}
	t := make([]byte, min(len(name), maxEventToken))
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

// statusKey is a kind of state: a subject and, where several states share it,
// which one.
type statusKey struct{ subject, part string }

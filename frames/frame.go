package frames

// Kind says what a Frame is: the first of its headers that is Event or Response
// decides. Asterisk writes it first (manager.c astman_append and
// __manager_event); AMI proxies put ActionID or Server before it. So an
// OriginateResponse is an Event although it carries a Response header, and so is
// a UserEvent with a second Event header that a dialplan made up.
type Kind uint8

const (
	// KindOther is a Frame without such a header, or with a line before it that
	// is no header: raw text, or what is left of a frame that was cut.
	KindOther Kind = iota
	// KindEvent is an Event, asynchronous or part of a list.
	KindEvent
	// KindResponse is the Response to an Action.
	KindResponse
)

// Header is one line of a Frame. A nil Key marks a line without a colon, kept
// whole in Value. Both borrow the Reader's buffer.
type Header struct {
	Key, Value []byte
}

// Frame is one AMI message with its headers in wire order, repeats included.
// What a Reader returns is valid until its next call.
type Frame struct {
	Headers []Header
	// Size counts the bytes on the wire, line ends included, also of the part
	// that a Truncated frame lost.
	Size int
	// Raw is the whole frame as it came, line ends included, for a KindOther
	// one that is text and no headers; nil if Truncated.
	Raw []byte
	// Truncated marks a frame over the Reader's limit. Headers then holds the
	// complete lines at its start, enough to tell what was lost.
	Truncated bool
	// More marks a piece of a long Response (see Reader.Split): the next Frames,
	// up to the first without More, go on with it, and have Continues.
	More, Continues bool
}

// Kind returns what f is.
func (f *Frame) Kind() Kind {
	kind, _ := f.said()
	return kind
}

// Name returns the name of an Event, or what a Response says, such as Success;
// nil for a KindOther.
func (f *Frame) Name() []byte {
	if _, at := f.said(); at >= 0 {
		return f.Headers[at].Value
	}
	return nil
}

// said returns what f is and which header says so, -1 for none.
func (f *Frame) said() (kind Kind, at int) {
	if f.Continues {
		return KindResponse, -1
	}
	for i := range f.Headers {
		switch key := f.Headers[i].Key; {
		case key == nil:
			return KindOther, -1
		case equalFold(key, "Event"):
			return KindEvent, i
		case equalFold(key, "Response"):
			return KindResponse, i
		}
	}
	return KindOther, -1
}

// Get returns the value of the first header named key, compared ignoring
// ASCII case as Asterisk does (manager.c astman_get_header), or nil.
func (f *Frame) Get(key string) []byte {
	for i := range f.Headers {
		if equalFold(f.Headers[i].Key, key) {
			return f.Headers[i].Value
		}
	}
	return nil
}

func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

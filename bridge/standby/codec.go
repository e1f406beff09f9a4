package standby

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A bridge of a thousand servers and ten others hears a megabyte of Heartbeats a second, and
// encoding/json takes a good part of its time for them. So a Heartbeat is written here, as
// encoding/json writes it to the byte, and read here if it is written so. Whatever else a
// Heartbeat may be, such as one of a version that says more, encoding/json reads.

// appendJSON appends the Heartbeat as encoding/json writes it.
func (h *Heartbeat) appendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"v":`...), int64(h.Version), 10)
	dst = strconv.AppendInt(append(dst, `,"needs":`...), int64(h.Needs), 10)
	dst = appendString(append(dst, `,"node":`...), h.Node)
	dst = appendString(append(dst, `,"incarnation":`...), h.Incarnation)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), h.Seq, 10)
	dst = strconv.AppendInt(append(dst, `,"weight":`...), int64(h.Weight), 10)
	dst = appendSum(append(dst, `,"list":`...), h.List)
	dst = appendAll(dst, `,"servers":[`, h.Servers, func(dst []byte, s *string) []byte { return appendString(dst, *s) })
	dst = appendAll(dst, `,"leads":[`, h.Leads, appendLeads)
	dst = appendAll(dst, `,"stands":[`, h.Stands, appendStands)
	dst = appendAll(dst, `,"tries":[`, h.Tries, func(dst []byte, t *Tries) []byte {
		dst = appendString(append(dst, `{"server":`...), t.Server)
		return append(strconv.AppendInt(append(dst, `,"for_ms":`...), t.ForMS, 10), '}')
	})
	dst = appendNumber(dst, `,"silence_ms":`, h.SilenceMS)
	if h.Groups != 0 {
		dst = appendSum(append(dst, `,"groups":`...), h.Groups)
	}
	dst = appendNumber(dst, `,"part":`, int64(h.Part))
	return append(appendNumber(dst, `,"parts":`, int64(h.Parts)), '}')
}

// appendAll appends all of a list that may be left out.
func appendAll[T any](dst []byte, key string, all []T, each func([]byte, *T) []byte) []byte {
	if len(all) == 0 {
		return dst
	}
	dst = append(dst, key...)
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = each(dst, &all[i])
	}
	return append(dst, ']')
}

func appendLeads(dst []byte, l *Leads) []byte {
	dst = appendString(append(dst, `{"server":`...), l.Server)
	dst = strconv.AppendUint(append(dst, `,"term":`...), l.Term, 10)
	dst = appendString(append(dst, `,"epoch":`...), l.Epoch)
	dst = strconv.AppendUint(append(dst, `,"n":`...), l.N, 10)
	dst = appendSum(append(dst, `,"sum":`...), l.Sum)
	if l.Window != nil {
		dst = appendSum(append(dst, `,"window":`...), *l.Window)
	}
	if l.Width != 0 {
		dst = strconv.AppendUint(append(dst, `,"width":`...), l.Width, 10)
	}
	dst = appendSum(append(dst, `,"filters":`...), l.Filters)
	dst = appendWord(dst, `,"yields":`, l.Yields)
	dst = appendWord(dst, `,"unable":`, string(l.Unable))
	dst = appendAll(dst, `,"answers":[`, l.Answers, func(dst []byte, a *Answer) []byte {
		dst = appendString(append(dst, `{"node":`...), a.Node)
		dst = strconv.AppendUint(append(dst, `,"probe":`...), a.Probe, 10)
		return append(strconv.AppendUint(append(dst, `,"n":`...), a.N, 10), '}')
	})
	return append(dst, '}')
}

func appendStands(dst []byte, s *Stands) []byte {
	dst = appendString(append(dst, `{"server":`...), s.Server)
	dst = appendString(append(dst, `,"state":`...), s.State)
	dst = appendWord(dst, `,"reason":`, string(s.Reason))
	dst = strconv.AppendUint(append(dst, `,"term":`...), s.Term, 10)
	dst = strconv.AppendUint(append(dst, `,"lag":`...), s.Lag, 10)
	dst = strconv.AppendInt(append(dst, `,"age_ms":`...), s.AgeMS, 10)
	dst = appendNumber(dst, `,"lag_ms":`, s.LagMS)
	dst = appendWord(dst, `,"unable":`, string(s.Unable))
	dst = appendNumber(dst, `,"oldest_ms":`, s.OldestMS)
	if s.Probe != 0 {
		dst = strconv.AppendUint(append(dst, `,"probe":`...), s.Probe, 10)
	}
	return append(dst, '}')
}

// appendNumber appends a number that is left out if it is 0, appendWord a text that is left
// out if it is empty.
func appendNumber(dst []byte, key string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, key...), n, 10)
}

func appendWord(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, key...), s)
}

func appendSum(dst []byte, s Sum) []byte {
	return append(appendHex(append(dst, '"'), uint64(s)), '"')
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // no string fails
			return append(dst, text...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// scan reads what appendJSON writes. What it reads of a name is a part of text.
type scan struct {
	text string // what is left
	bad  bool   // it was not written so
}

// scan reads a Heartbeat, and reports whether it is as appendJSON writes one.
func (h *Heartbeat) scan(text string) bool {
	s := scan{text: text}
	s.want(`{"v":`)
	h.Version = s.small()
	s.want(`,"needs":`)
	h.Needs = s.small()
	s.want(`,"node":`)
	h.Node = strings.Clone(s.string()) // who keeps it keeps no message
	s.want(`,"incarnation":`)
	h.Incarnation = strings.Clone(s.string())
	s.want(`,"seq":`)
	h.Seq = s.number()
	s.want(`,"weight":`)
	h.Weight = s.small()
	s.want(`,"list":`)
	h.List = s.sum()
	h.Servers = scanAll(&s, `,"servers":[`, 16, func(server *string) { *server = strings.Clone(s.string()) })
	h.Leads = scanAll(&s, `,"leads":[`, 160, s.leads)
	h.Stands = scanAll(&s, `,"stands":[`, 80, s.stands)
	h.Tries = scanAll(&s, `,"tries":[`, 32, func(t *Tries) {
		s.want(`{"server":`)
		t.Server = s.string()
		s.want(`,"for_ms":`)
		t.ForMS = s.millis()
		s.want(`}`)
	})
	if s.has(`,"silence_ms":`) {
		h.SilenceMS = s.millis()
	}
	if s.has(`,"groups":`) {
		h.Groups = s.sum()
	}
	if s.has(`,"part":`) {
		h.Part = s.small()
	}
	if s.has(`,"parts":`) {
		h.Parts = s.small()
	}
	s.want(`}`)
	return !s.bad && s.text == ""
}

// scanAll reads a list that may be left out, of which one takes about that many bytes.
func scanAll[T any](s *scan, key string, bytes int, each func(*T)) (all []T) {
	if !s.has(key) {
		return nil
	}
	all = make([]T, 0, len(s.text)/bytes+1)
	for more := true; more && !s.bad; more = s.has(`,`) {
		all = append(all, *new(T))
		each(&all[len(all)-1])
	}
	s.want(`]`)
	return all
}

func (s *scan) leads(l *Leads) {
	s.want(`{"server":`)
	l.Server = s.string()
	s.want(`,"term":`)
	l.Term = s.number()
	s.want(`,"epoch":`)
	l.Epoch = s.string()
	s.want(`,"n":`)
	l.N = s.number()
	s.want(`,"sum":`)
	l.Sum = s.sum()
	if s.has(`,"window":`) {
		window := s.sum()
		l.Window = &window
	}
	if s.has(`,"width":`) {
		l.Width = s.number()
	}
	s.want(`,"filters":`)
	l.Filters = s.sum()
	if s.has(`,"yields":`) {
		l.Yields = strings.Clone(s.string())
	}
	if s.has(`,"unable":`) {
		l.Unable = Unable(s.word())
	}
	l.Answers = scanAll(s, `,"answers":[`, 80, func(a *Answer) {
		s.want(`{"node":`)
		a.Node = s.string()
		s.want(`,"probe":`)
		a.Probe = s.number()
		s.want(`,"n":`)
		a.N = s.number()
		s.want(`}`)
	})
	s.want(`}`)
}

func (s *scan) stands(b *Stands) {
	s.want(`{"server":`)
	b.Server = s.string()
	s.want(`,"state":`)
	b.State = s.word()
	if s.has(`,"reason":`) {
		b.Reason = Reason(s.word())
	}
	s.want(`,"term":`)
	b.Term = s.number()
	s.want(`,"lag":`)
	b.Lag = s.number()
	s.want(`,"age_ms":`)
	b.AgeMS = s.millis()
	if s.has(`,"lag_ms":`) {
		b.LagMS = s.millis()
	}
	if s.has(`,"unable":`) {
		b.Unable = Unable(s.word())
	}
	if s.has(`,"oldest_ms":`) {
		b.OldestMS = s.millis()
	}
	if s.has(`,"probe":`) {
		b.Probe = s.number()
	}
	s.want(`}`)
}

func (s *scan) has(text string) (ok bool) {
	if ok = strings.HasPrefix(s.text, text); ok {
		s.text = s.text[len(text):]
	}
	return ok
}

func (s *scan) want(text string) {
	if !s.has(text) {
		s.bad = true
	}
}

// number reads a number as it is written without a sign.
func (s *scan) number() (n uint64) {
	i := 0
	for i < len(s.text) && s.text[i]-'0' <= 9 {
		i++
	}
	n, ok := parseDecimal(s.text[:i])
	s.bad = s.bad || !ok
	s.text = s.text[i:]
	return n
}

func (s *scan) atMost(most uint64) uint64 {
	n := s.number()
	s.bad = s.bad || n > most
	return n
}

func (s *scan) small() int    { return int(s.atMost(math.MaxInt32)) }
func (s *scan) millis() int64 { return int64(s.atMost(math.MaxInt64)) }

func (s *scan) sum() Sum {
	v, ok := parseHex(s.string())
	s.bad = s.bad || !ok
	return Sum(v)
}

// string reads a string of which each byte stands for itself.
func (s *scan) string() string {
	if !s.has(`"`) {
		s.bad = true
		return ""
	}
	for i := range len(s.text) {
		switch c := s.text[i]; {
		case c == '"':
			text := s.text[:i]
			s.text = s.text[i+1:]
			return text
		case c < ' ' || c >= 0x7f || c == '\\':
			s.bad = true
			return ""
		}
	}
	s.bad = true
	return ""
}

// words are those that a Heartbeat says again and again. Who keeps one keeps no message.
var words = [...]string{
	InSync.String(), Joining.String(), Apart.String(), string(Differs), string(Behind), string(Overflow), string(Filters),
	string(Few), string(Alike), string(Unfound), string(NoEvent), string(Mute), string(Deaf), string(NoActions),
}

func (s *scan) word() string {
	text := s.string()
	for _, w := range words {
		if w == text {
			return w
		}
	}
	return strings.Clone(text)
}

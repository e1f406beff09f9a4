package policy

import (
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// asks looks at names of variables, for which action asks.
func (p *Policy) asks(action string, names []string) *Refusal {
	for _, name := range names {
		if r := p.functions(action, name); r != nil {
			return r
		}
		if r := p.variable(action, name, "", false); r != nil {
			return r
		}
		if function := readsProof(name); function != "" {
			if r := p.wants(action, held{shown: function, what: function + " of a header in which a telephone proves its password"}); r != nil {
				return r
			}
		}
	}
	return nil
}

// getvar looks at what a Getvar asks for. CHANNEL reads of a channel that is not there: for its type, its formats and
// others Asterisk then ends (func_channel.c func_channel_read, with the dummy of manager.c action_getvar).
func (p *Policy) getvar(headers []frames.Header) *Refusal {
	const action = "Getvar"
	names, channels := Values(headers, "Variable"), Values(headers, "Channel")
	if len(channels) == 0 || slices.Contains(channels, "") {
		for _, name := range names {
			function, _, called := strings.Cut(name, "(")
			if !called || strings.TrimSpace(function) != "CHANNEL" {
				continue
			}
			if r := p.wants(action, held{shown: "CHANNEL", what: "CHANNEL of no Channel, by which Asterisk may crash"}); r != nil {
				return r
			}
		}
	}
	return p.asks(action, names)
}

// proofs are the headers of SIP in which a telephone proves its password, by a hash to guess it by.
var proofs = [...]string{"authorization", "proxy-authorization"}

// readsProof returns the function that name asks for one of proofs, or "". A * ends the beginning of a header's name.
func readsProof(name string) string {
	function, arguments, _ := strings.Cut(name, "(")
	if function = strings.TrimSpace(function); function != "PJSIP_HEADER" && function != "SIP_HEADER" {
		return ""
	}
	for part := range strings.FieldsFuncSeq(strings.ToLower(argumentQuotes.Replace(arguments)), func(r rune) bool { return strings.ContainsRune(",() \t", r) }) {
		begin, open := strings.CutSuffix(part, "*")
		if slices.ContainsFunc(proofs[:], func(proof string) bool { return part == proof || open && strings.HasPrefix(proof, begin) }) {
			return function
		}
	}
	return ""
}

package bridge

import "slices"

// DefaultRefused returns the Actions that are refused until ActionsAllow names
// them.
func DefaultRefused() []string { return slices.Clone(refusedByDefault[:]) }

// RuleAbout is which Actions a rule is about, as a pattern, and which header.
type RuleAbout struct{ Text, Action, Header string }

// About returns what each rule is about.
func (r Rules) About() []RuleAbout {
	all := make([]RuleAbout, len(r))
	for i := range r {
		all[i] = RuleAbout{r[i].text, r[i].action[0], r[i].header}
	}
	return all
}

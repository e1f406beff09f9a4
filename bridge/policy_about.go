package bridge

import "slices"

// DefaultRefused returns the Actions that are refused until ActionsAllow names
// them.
func DefaultRefused() []string { return slices.Clone(refusedByDefault[:]) }

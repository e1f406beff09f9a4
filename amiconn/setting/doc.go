// Package setting has the types of settings that are written as text: sizes,
// switches, secrets, patterns of names, values for some Actions, and choices. Each
// reads what it prints, but for a Secret, which prints nothing of itself.
//
// It knows no setting's name and no environment. It starts no goroutine.
package setting

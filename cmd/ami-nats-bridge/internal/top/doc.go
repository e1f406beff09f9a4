// Package top shows in a terminal how bridges and servers are: the pictures of package
// view, painted.
//
// Render is pure: from a snapshot, what the user has chosen, a size and what the terminal
// can do to a screen. Screen is the bubbletea program around it; its keys change what is
// chosen and nothing else. Reader brings the snapshots: from NATS or, while that does not
// answer, from the bridge's own /status.json. It owns the goroutines.
//
// The words are those of package view: nothing is judged here.
package top

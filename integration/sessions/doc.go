// Package sessions tests the sessions with Asterisk: that they come up, are
// lost, wait and come back, keep their secrets, and change while the bridge
// runs.
package sessions

// Package actions tests the way of an Action through the whole bridge: who is
// asked, what is answered, once, and what an error says of what reached
// Asterisk.
package actions

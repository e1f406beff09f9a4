package amisim

import (
	"crypto/md5"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
)

func challenge(r *reply) {
	if !strings.EqualFold(r.a.Get("AuthType"), "MD5") {
		r.fail("Must specify AuthType")
		return
	}
	if r.sess.challenge == "" {
		r.sess.challenge = strconv.Itoa(int(rand.Int32()))
	}
	r.ok("Challenge", r.sess.challenge)
}

// login is manager.c action_login and authenticate.
func login(r *reply) {
	if r.sess.loggedIn.Load() {
		r.fail("Already authenticated")
		return
	}
	name, good := r.authenticate()
	switch {
	case !good:
		r.refuse("Authentication failed")
		return
	case r.srv.cfg.SingleLogin && r.srv.hasUser(name):
		r.refuse("Login Already In Use")
		return
	}
	r.sess.user = name
	r.sess.loggedIn.Store(true)
	r.ok("Message", "Authentication accepted")
	events := mask{all: true}
	if word := r.a.Get("Events"); word != "" {
		events = parseMask(word)
	}
	if events.has("system") && !r.srv.cfg.NotBooted {
		// By the wall clock, as it is set (manager.c action_login).
		uptime := strconv.Itoa(int(r.srv.now().Sub(r.srv.started).Seconds()))
		r.frame("Event", "FullyBooted", "Privilege", "system,all",
			"Uptime", uptime, "LastReload", uptime, "Status", "Fully Booted")
	}
	r.sess.setMask(events)
}

// authenticate compares as Asterisk does: the username without regard to case,
// the key in lower-case hexadecimal only.
func (r *reply) authenticate() (user string, good bool) {
	for name, secret := range r.srv.cfg.Users {
		if !strings.EqualFold(name, r.a.Get("Username")) {
			continue
		}
		if !strings.EqualFold(r.a.Get("AuthType"), "MD5") {
			return name, r.a.Get("Secret") == secret
		}
		key := md5.Sum([]byte(r.sess.challenge + secret))
		return name, r.sess.challenge != "" && r.a.Get("Key") == hex.EncodeToString(key[:])
	}
	return "", false
}

// refuse answers an Error after the penalty, and closes.
func (r *reply) refuse(message string) {
	r.sess.Sleep(r.srv.cfg.LoginPenalty)
	r.fail(message)
	r.sess.closing = true
}

func logoff(r *reply) {
	r.frame("Response", "Goodbye", "ActionID", r.a.ActionID, "Message", "Thanks for all the fish.")
	r.sess.closing = true
}

func (s *Server) hasUser(name string) (found bool) {
	s.each(func(sess *Session) {
		found = found || sess.loggedIn.Load() && sess.user == name
	})
	return found
}

func events(r *reply) {
	word := r.a.Get("EventMask")
	if word == "" {
		r.fail("Missing EventMask")
		return
	}
	m := parseMask(word)
	r.sess.setMask(m)
	if m.on() {
		r.ok("Events", "On")
	} else {
		r.ok("Events", "Off")
	}
}

// classes are the names of manager.c perms that events here have.
var classes = [...]string{"system", "call", "log", "verbose", "command", "agent", "user",
	"config", "dtmf", "reporting", "cdr", "dialplan", "originate", "agi", "cc", "aoc", "test", "security", "message"}

// mask says which classes of events a session wants.
type mask struct {
	all   bool
	names map[string]bool // read-only
}

func (m mask) on() bool { return m.all || len(m.names) > 0 }

func (m mask) has(class string) bool { return m.all || m.names[class] }

// parseMask reads on, off, or a list of classes; unknown names count for
// nothing (manager.c strings_to_mask).
func parseMask(word string) mask {
	switch strings.ToLower(word) {
	case "on", "yes", "true", "all", "-1":
		return mask{all: true}
	}
	m := mask{names: make(map[string]bool)}
	for name := range strings.SplitSeq(strings.ToLower(word), ",") {
		for _, class := range classes {
			if strings.TrimSpace(name) == class {
				m.names[class] = true
			}
		}
	}
	return m
}

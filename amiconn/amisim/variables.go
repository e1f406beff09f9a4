package amisim

import "sync"

// maxVariables bounds what Setvar keeps.
const maxVariables = 1000

// variables are what Setvar set, by channel and name.
type variables struct {
	mu sync.Mutex
	m  map[string]string
}

func (v *variables) get(key string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.m[key]
}

// set reports whether there was room.
func (v *variables) set(key, value string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.m == nil {
		v.m = make(map[string]string)
	}
	if _, known := v.m[key]; !known && len(v.m) >= maxVariables {
		return false
	}
	v.m[key] = value
	return true
}

func getvar(r *reply) {
	name := r.a.Get("Variable")
	if name == "" {
		r.fail("No variable specified")
		return
	}
	r.ok("Variable", name, "Value", r.srv.variables.get(r.a.Get("Channel")+"/"+name))
}

func setvar(r *reply) {
	name := r.a.Get("Variable")
	if name == "" {
		r.fail("No variable specified")
		return
	}
	if !r.srv.variables.set(r.a.Get("Channel")+"/"+name, r.a.Get("Value")) {
		r.fail("Out of memory")
		return
	}
	r.ok("Message", "Variable Set")
}

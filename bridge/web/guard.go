package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// IsLoopback reports whether only this machine reaches addr.
func IsLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Guard lets next answer requests for this machine only, if addr, where they arrive, is a
// loopback address. A website could make its own name lead here (DNS rebinding), and have
// its visitors' browsers read what next says; the Host that they send is then still the
// website's.
func Guard(addr net.Addr, next http.Handler) http.Handler {
	if !IsLoopback(addr) {
		return next
	}
	own := addr.(*net.TCPAddr).IP
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host, own) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			http.Error(w, "This is the bridge at a loopback address: ask for it as localhost, 127.0.0.1 or [::1]. "+
				"A proxy in front of it has to send one of these as Host.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether host, perhaps with a port, is a name of this machine, or the
// address that it was sent to.
func isLocal(host string, own net.IP) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") || host == "127.0.0.1" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.Equal(net.IPv6loopback) || ip.Equal(own))
}

// authorized reports whether r has the password, of any user. How long that takes does not depend on
// what it has.
func authorized(r *http.Request, password string) bool {
	_, given, _ := r.BasicAuth()
	want, got := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

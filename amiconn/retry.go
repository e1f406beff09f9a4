package amiconn

// Retry ends the waits that refused logins have begun, in case the secret or
// what manager.conf says of the user is another one now.
func (l *Link) Retry() {
	l.breaker.forgive()
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.again)
	l.again = make(chan struct{})
}

// retries returns the channel that the next Retry closes.
func (l *Link) retries() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

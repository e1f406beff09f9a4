// Package phone is a SIP telephone for tests of a real Asterisk, by UDP on loopback (RFC
// 3261): it registers, answers who calls, puts on hold, hangs up. To an Asterisk that
// registers itself it is the registrar.
//
// It is not the bridge's and shares no code with it. A Phone has one call at a time and no
// sound: nobody reads what comes to its RTP port. Its own goroutine answers Asterisk's
// requests; the methods are for one goroutine at a time, and each waits for Asterisk's
// answer until its context ends.
package phone

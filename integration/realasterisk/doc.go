// Package realasterisk runs a real Asterisk for tests and reads it with a plain AMI client of its own.
//
// Each starts every Asterisk that the environment names and hands it to a test:
//
//	BRIDGE_TEST_ASTERISK_22, _16      folder of an install made by integration/asterisk/install.sh
//	BRIDGE_TEST_ASTERISK_22_11        likewise, for EachAndNext; never required
//	BRIDGE_TEST_ASTERISK_ADDR         host:port,user,secret of any Asterisk that runs already
//	BRIDGE_TEST_ASTERISK_REQUIRED=1   a missing one fails the test instead of skipping it
//
// Several instances of one install run at once: each has a numbered folder and a loopback address of its
// own, and an Asterisk dies with the process that started it.
//
// It is not part of the bridge and shares no code with it, so that what it reads is a second opinion.
// Starting needs root on Linux. An Instance may be used by several goroutines, a Client by one at a time.
package realasterisk

// Package redact takes secrets out of what leaves the bridge: names.go says
// which names are secret, text.go finds them in text (log and audit), headers.go
// in the replies to callers. It imports nothing of the bridge, starts no
// goroutine, and all of it may be used concurrently.
package redact

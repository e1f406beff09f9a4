// Package web shows in a browser how all is: the pictures of package view, as HTML.
//
// It answers / with a whole page, useful without a script, and /live with what changes on
// it, as server-sent events; /status.json is the same for programs. All is embedded, read-only, and
// needs nothing from another host. What it shows is from Asterisk or NATS, and hostile
// until html/template has escaped it.
//
// It knows no bridge: a snapshot comes from a func. One render a second is shared by all
// pages that show the same; nothing here is on the way of an event. A browser that does not
// read is given up: its queue is bounded, and each write has a deadline.
//
// The goroutine of Run renders for /live, another one of its hands on events; net/http owns those of the
// requests.
package web

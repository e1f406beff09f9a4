// Package conns tests the connections with NATS: rights, limits, certificates,
// users and accounts that change while the bridge runs, and servers that come
// and go.
package conns

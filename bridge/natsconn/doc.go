// Package natsconn is a connection to NATS that lasts as long as the bridge: one that
// nats.go gives up is made anew, subscriptions are exchanged for fresh ones, and
// credentials are read again for each login. It also reads what nats-server says of
// rights, limits and errors.
//
// It publishes and subscribes for others and knows no subject of theirs. Conn.Run is
// its goroutine, with one more that looks for other credentials. What crosses the
// seam: Options and New, Conn with its Link of the moment, Subscription, Login.
package natsconn

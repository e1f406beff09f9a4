// Package beside finds out whether another bridge publishes a server that this one publishes,
// without sharing it: then each event is stored twice, and no fence can keep it from that. And it finds out
// whether what this one publishes is stored under its subjects: an account may map them to others.
//
// What tells is the stream itself, by the ids of its messages: with BRIDGE_HA they name no
// node, and else they begin with it. So no right is needed that a bridge does not have
// already, and each side finds out for itself.
//
// [Watch.Run] is its one goroutine. It asks on the connection for control, some questions a
// second at most, and publishes nothing. What crosses the seam: the servers that this bridge
// publishes in; who else does so out, in words.
package beside

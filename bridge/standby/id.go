package standby

import (
	"errors"
	"strconv"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

const (
	maxNode   = 64 // bytes, as the settings have it
	maxServer = 32
	maxEpoch  = 16
	hexSum    = 16
)

// ID is what a message's id says of it with HA: `<server>.<epoch>.<n>.<hash>`. It does not
// name the node, so that the one event has one id, whoever sends it.
type ID struct {
	Server, Epoch string
	N             uint64 // 0 for the Gap that begins the epoch
	Hash          uint64
}

// AppendTo appends the id.
func (id ID) AppendTo(dst []byte) []byte {
	dst = append(append(append(append(dst, id.Server...), '.'), id.Epoch...), '.')
	return appendHex(append(strconv.AppendUint(dst, id.N, 10), '.'), id.Hash)
}

// AppendSeq appends the value of Ami-Seq: `<epoch>:<n>`.
func (id ID) AppendSeq(dst []byte) []byte {
	return strconv.AppendUint(append(append(dst, id.Epoch...), ':'), id.N, 10)
}

var errNoID = errors.New("no message id of HA: it wants <server>.<epoch>.<n>.<hash>")

// ParseID reads what AppendTo writes, and nothing else. The texts of it are parts of s.
func ParseID(s string) (ID, error) {
	server, rest, _ := strings.Cut(s, ".")
	epoch, rest, _ := strings.Cut(rest, ".")
	number, hash, _ := strings.Cut(rest, ".")
	n, ok := parseDecimal(number)
	h, hexOK := parseHex(hash)
	if !ok || !hexOK || !name.Valid(server, maxServer) || !ValidEpoch(epoch) {
		return ID{}, errNoID
	}
	return ID{server, epoch, n, h}, nil
}

var errNoSeq = errors.New("no Ami-Seq of HA: it wants <epoch>:<n>")

// ParseSeq reads what AppendSeq writes, and nothing else.
func ParseSeq(s string) (epoch string, n uint64, err error) {
	epoch, number, _ := strings.Cut(s, ":")
	n, ok := parseDecimal(number)
	if !ok || !ValidEpoch(epoch) {
		return "", 0, errNoSeq
	}
	return epoch, n, nil
}

// ValidEpoch reports whether s may name an epoch: 1 to 16 of 0-9 a-z. Whoever begins one
// makes a name that no other has had.
func ValidEpoch(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= maxEpoch
}

// parseDecimal reads a number as strconv.AppendUint writes it.
func parseDecimal(s string) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func appendHex(dst []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

func parseHex(s string) (v uint64, ok bool) {
	if len(s) != hexSum {
		return 0, false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

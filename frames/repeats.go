package frames

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// maxSmall is how many headers a frame may have for its index to live on the
// stack. Only replies have more: Command, GetConfig, ListCommands.
const maxSmall = 128

// offset is the number of a header in an index, the highest bit set if an
// earlier header has the same name.
type offset interface{ uint8 | uint32 }

func repeatBit[T offset]() T { return ^(^T(0) >> 1) }

func isRepeat[T offset](n T) bool { return n&repeatBit[T]() != 0 }

func following[T offset](n T) T { return n &^ repeatBit[T]() }

func newIndex(headers int) (slots, next []uint32) {
	size := 1 << bits.Len(uint(headers*2-1))
	index := make([]uint32, size+headers)
	return index[:size], index[size:]
}

// linkRepeats sets next[i] to the header after i that has the same name, 0 if
// none, and reports whether there is any. slots is a hash table, empty, of a
// power of two at least twice the headers. Going backwards, it knows the next
// header of each name seen.
func linkRepeats[T offset](headers []Header, slots, next []T) (found bool) {
	shift := 64 - bits.TrailingZeros(uint(len(slots)))
	mask := uint64(len(slots) - 1)
	hostile := len(headers) > maxSmall
	var seed maphash.Seed
	if hostile {
		seed = maphash.MakeSeed()
	}
	for i := len(headers) - 1; i >= 0; i-- {
		name := headers[i].Key
		if name == nil {
			name = rawKey
		}
		hash := quickHash(name)
		if hostile {
			hash = maphash.Bytes(seed, name)
		}
		for slot := hash >> shift; ; slot++ {
			at := &slots[slot&mask]
			if *at == 0 {
				*at = T(i + 1)
				break
			}
			later := *at - 1
			if string(nameOf(&headers[later])) == string(name) {
				next[i] = later
				next[later] |= repeatBit[T]()
				*at = T(i + 1)
				found = true
				break
			}
		}
	}
	return found
}

// mayRepeat reports whether two of headers may have the same name, by their hashes:
// for most frames that is all there is to know. It is for maxSmall at most.
func mayRepeat(headers []Header) bool {
	var seen [32]uint64 // a bit for each of the hash's highest bits
	for i := range headers {
		hash := quickHash(nameOf(&headers[i])) >> 53
		word, bit := &seen[hash>>6], uint64(1)<<(hash&63)
		if *word&bit != 0 {
			return true
		}
		*word |= bit
	}
	return false
}

func nameOf(h *Header) []byte {
	if h.Key == nil {
		return rawKey
	}
	return h.Key
}

// quickHash is good for few names that nobody chose to collide: it looks at
// both ends.
func quickHash(name []byte) uint64 {
	n := len(name)
	hash := uint64(n)
	if n >= 4 {
		hash ^= uint64(binary.LittleEndian.Uint32(name))<<32 | uint64(binary.LittleEndian.Uint32(name[n-4:]))
	} else if n > 0 {
		hash ^= uint64(name[0])<<16 | uint64(name[n/2])<<24 | uint64(name[n-1])<<32
	}
	return hash * 0x9E3779B97F4A7C15
}

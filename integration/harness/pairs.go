package harness

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// Pair is a header as it stands in an event's JSON.
type Pair struct {
	Key    string
	Values []string
}

// FramePairs is what the event f has to look like on NATS, found without the
// bridge's own parser.
func FramePairs(f realasterisk.Frame) (pairs []Pair) {
	at := map[string]int{}
	for _, line := range f.Lines() {
		key, value, ok := strings.Cut(line, ": ")
		if !ok {
			key, value, _ = strings.Cut(line, ":")
		}
		// Each byte that is not UTF-8 becomes U+FFFD.
		value = string([]rune(value))
		if i, seen := at[key]; seen {
			pairs[i].Values = append(pairs[i].Values, value)
			continue
		}
		at[key] = len(pairs)
		pairs = append(pairs, Pair{key, []string{value}})
	}
	return pairs
}

// PayloadPairs reads a payload in its own order.
func PayloadPairs(t *testing.T, payload []byte) (pairs []Pair) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(payload))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%v in %s", err, payload)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, payload)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			t.Fatalf("%v in %s", err, payload)
		}
		p := Pair{Key: key.(string), Values: make([]string, 1)}
		if raw[0] == '[' {
			err = json.Unmarshal(raw, &p.Values)
		} else {
			err = json.Unmarshal(raw, &p.Values[0])
		}
		if err != nil {
			t.Fatalf("%s: %v in %s", key, err, payload)
		}
		pairs = append(pairs, p)
	}
	return pairs
}

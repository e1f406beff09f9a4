package replay

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What is taken for flat is JSON, and has nothing that could be left out.
func FuzzIsFlat(f *testing.F) {
	for seed, flat := range map[string]bool{
		`{"Event":"Hangup"}`: true, `{"A":"1","B":["2","Zoë"],"":""}`: true, `{"A":["1"]}`: true,
		``: false, `{`: false, `{}`: false, `{"A"}`: false, `{"A":}`: false, `{"A":1}`: false, `{"A":[]}`: false, `{"A":["1",]}`: false, `{"A":["1"`: false,
		`{"A":"1",}`: false, `{"A":"1"}x`: false, `{"A":"1"} `: false, `{ "A":"1"}`: false, `{"A" :"1"}`: false, `{"A":"1" }`: false, `{"A":"1"`: false, `{"A":"1`: false,
		`{"A":"\n"}`: false, `{"A":"\`: false, "{\"A\":\"\n\"}": false, `["1"]`: false, `{"A":{"B":"1"}}`: false, `{"A":["1""2"]}`: false, `{"A":"1""B":"2"}`: false,
	} {
		if isFlat([]byte(seed)) != flat {
			f.Errorf("%s is flat: %v, want %v", seed, !flat, flat)
		}
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		if err := json.Compact(&out, data); isFlat(data) && (err != nil || !bytes.Equal(out.Bytes(), data)) {
			t.Errorf("%q is taken for flat, and is %q, %v", data, &out, err)
		}
	})
}

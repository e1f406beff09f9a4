package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// Readyz is the body of /readyz.
type Readyz struct {
	Ready       bool
	NATS        string
	Connections map[string]string
	Servers     map[string]map[string]string
	Actions     map[string]string
}

// Get returns what the bridge's HTTP server answers.
func (r *Running) Get(path string) (code int, body string) {
	r.T.Helper()
	return fetch(r.T, "http://"+r.Config.HTTPAddr+path)
}

// Readyz returns what /readyz answers.
func (r *Running) Readyz() (code int, body Readyz) {
	r.T.Helper()
	code, text := r.Get("/readyz")
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		r.T.Fatalf("%v in %s", err, text)
	}
	return code, body
}

// Page is what url shows, which is something.
func Page(t *testing.T, url string) string {
	t.Helper()
	code, body := fetch(t, url)
	if body == "" {
		t.Fatalf("%s shows nothing, %d", url, code)
	}
	return body
}

func fetch(t testing.TB, url string) (code int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

package bridge

import (
	"os"
	"path/filepath"
	"testing"
)

// file is a file that a test changes.
type file struct {
	t    *testing.T
	name string
}

func newFile(t *testing.T, content string) *file {
	t.Helper()
	f := &file{t, filepath.Join(t.TempDir(), "file")}
	f.write(content)
	return f
}

func (f *file) write(content string) {
	f.t.Helper()
	if err := os.WriteFile(f.name, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

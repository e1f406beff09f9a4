package natstest

import (
	"os"
	"path/filepath"
	"testing"
)

// File is a file that a test changes.
type File struct {
	t    *testing.T
	Name string
}

// NewFile makes a file with that content.
func NewFile(t *testing.T, content string) *File {
	t.Helper()
	f := &File{t, filepath.Join(t.TempDir(), "file")}
	f.Write(content)
	return f
}

// Write puts content in the place of what f holds.
func (f *File) Write(content string) {
	f.t.Helper()
	if err := os.WriteFile(f.Name, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

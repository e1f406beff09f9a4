package harness

import (
	"os"
	"path/filepath"
	"testing"
)

// Root is the folder of the module: the first one upwards that has a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("this is not run within the module")
		}
		dir = up
	}
}

// ReadText is the text of a file, whose path is joined of these parts.
func ReadText(t testing.TB, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package amiconn

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

func TestReadSecretFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "secret")
	for content, want := range map[string]string{
		"s3": "s3", "s3\n": "s3", "s3\r\n": "s3", "s3 \t\r\n\r\n": "s3", "\xef\xbb\xbfs3\r\n": "s3", " s3 4 \n": "s3 4", "\xe9\n": "\xe9",
		strings.Repeat("x", int(MaxSecretFile)): strings.Repeat("x", int(MaxSecretFile)),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSecretFile(name); err != nil || string(got) != want {
			t.Errorf("%.20q is read as %.20q, %v", content, string(got), err)
		}
	}
	for content, want := range map[string]string{
		"":               "its file is empty",
		" \r\n":          "its file is empty",
		"\xef\xbb\xbf\n": "its file is empty",
		"a\nb\n":         "its file holds more than one line, or NUL",
		"a\rb":           "its file holds more than one line, or NUL",
		"s\x003\x00":     "its file holds more than one line, or NUL", // UTF-16
		strings.Repeat("x", int(MaxSecretFile)+1): "its file cannot be read: it is larger than 64KiB",
		strings.Repeat("x\n", 1<<20):              "its file cannot be read: it is larger than 64KiB",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSecretFile(name); err == nil || err.Error() != want || got != "" {
			t.Errorf("%.20q: %q, %v; want %q", content, string(got), err, want)
		}
	}
}

// Whatever else may have that name, it is an error at once.
func TestReadFile_NeverWaits(t *testing.T) {
	dir := t.TempDir()
	fifo, socket, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: socket}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		fifo: "it is a FIFO, not a regular file", link: "it is a FIFO, not a regular file", dir: "it is a directory",
		"/dev/zero": "it is a device, not a regular file", socket: "it is not a regular file",
		filepath.Join(dir, "none"): "no such file or directory", filepath.Join(fifo, "none"): "not a directory", "a\x00b": "invalid argument",
	} {
		if content, err := ReadFile(name, setting.KiB); err == nil || err.Error() != want || content != nil {
			t.Errorf("%s: %v, want %q", filepath.Base(name), err, want)
		}
	}
}

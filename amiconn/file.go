package amiconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

const (
	// MaxSecretFile bounds a file that holds a secret.
	MaxSecretFile = 64 * setting.KiB
	// MaxCertFile bounds a file of certificates: a system's own is about 250 KiB.
	MaxCertFile = setting.MiB
)

// ReadFile returns what the regular file called name holds. It does not wait as
// os.ReadFile does: a FIFO, a device, a folder and what is larger than limit are
// errors. The error does not hold the name, which may be a secret in the wrong
// place.
func ReadFile(name string, limit setting.Bytes) ([]byte, error) {
	info, err := os.Stat(name) // opening a device may already do something
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, withoutName(err)
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutName(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err == nil { // another one may be there by now
		err = regular(info)
	}
	if err != nil {
		return nil, withoutName(err)
	}
	content, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return nil, withoutName(err)
	}
	if setting.Bytes(len(content)) > limit {
		return nil, fmt.Errorf("it is larger than %v", limit)
	}
	return content, nil
}

// ReadSecretFile returns the secret in the file called name. Blanks and line
// ends around it do not count, nor does a byte order mark.
func ReadSecretFile(name string) (setting.Secret, error) {
	content, err := ReadFile(name, MaxSecretFile)
	if err != nil {
		return "", fmt.Errorf("its file cannot be read: %w", err)
	}
	text := strings.Trim(string(TrimMark(content)), " \t\r\n\v\f")
	switch {
	case text == "":
		return "", errors.New("its file is empty")
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", errors.New("its file holds more than one line, or NUL")
	}
	return setting.Secret(text), nil
}

// TrimMark returns text without the byte order mark that some editors begin
// UTF-8 with.
func TrimMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) }

// regular reports what a file is that is none to read from.
func regular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return errors.New("it is a directory")
	case mode&fs.ModeNamedPipe != 0:
		return errors.New("it is a FIFO, not a regular file")
	case mode&fs.ModeDevice != 0:
		return errors.New("it is a device, not a regular file")
	}
	return errors.New("it is not a regular file")
}

func withoutName(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

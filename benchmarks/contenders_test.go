package benchmarks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/textproto"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// contender reads every frame of wire and returns how many there were and how
// many bytes of JSON they made.
type contender struct {
	name string
	run  func(wire []byte) (events, payload int, err error)
}

func ended(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// framesNext is the bridge's own parser: ordered headers, repeats kept.
func framesNext(wire []byte) (events, payload int, err error) {
	r := frames.NewReader(bytes.NewReader(wire), 1<<20)
	for ; ; events++ {
		if _, err := r.Next(); err != nil {
			return events, 0, ended(err)
		}
	}
}

// framesJSON is the bridge's way from the bytes to the payload.
func framesJSON(wire []byte) (events, payload int, err error) {
	r := frames.NewReader(bytes.NewReader(wire), 1<<20)
	var buf []byte
	for ; ; events++ {
		f, err := r.Next()
		if err != nil {
			return events, payload, ended(err)
		}
		buf, _ = frames.AppendJSON(buf[:0], f, frames.UTF8)
		payload += len(buf)
	}
}

// readMap is a frame the usual way: a line at a time into a map, the last of a
// repeated header wins.
func readMap(r *bufio.Reader) (map[string]string, error) {
	message := map[string]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			if len(message) == 0 {
				continue
			}
			return message, nil
		}
		key, value, _ := strings.Cut(line, ": ")
		message[key] = value
	}
}

func mapParse(wire []byte) (events, payload int, err error) {
	r := bufio.NewReader(bytes.NewReader(wire))
	for ; ; events++ {
		if _, err := readMap(r); err != nil {
			return events, 0, ended(err)
		}
	}
}

func mapJSON(wire []byte) (events, payload int, err error) {
	r := bufio.NewReader(bytes.NewReader(wire))
	for ; ; events++ {
		message, err := readMap(r)
		if err != nil {
			return events, payload, ended(err)
		}
		text, err := json.Marshal(message)
		if err != nil {
			return events, payload, err
		}
		payload += len(text)
	}
}

// readMIME is a frame as net/textproto reads a header block: every value of a
// repeated header, names in its own spelling.
func readMIME(r *textproto.Reader) (textproto.MIMEHeader, error) {
	for {
		message, err := r.ReadMIMEHeader()
		if err != nil || len(message) > 0 {
			return message, err
		}
	}
}

func mimeParse(wire []byte) (events, payload int, err error) {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(wire)))
	for ; ; events++ {
		if _, err := readMIME(r); err != nil {
			return events, 0, ended(err)
		}
	}
}

func mimeJSON(wire []byte) (events, payload int, err error) {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(wire)))
	for ; ; events++ {
		message, err := readMIME(r)
		if err != nil {
			return events, payload, ended(err)
		}
		text, err := json.Marshal(message)
		if err != nil {
			return events, payload, err
		}
		payload += len(text)
	}
}

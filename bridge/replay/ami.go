package replay

import (
	"fmt"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// AppendAMI appends e in the bytes in which Asterisk sent it, as far as the
// stream knows them: the values of a repeated header stand together, and what was
// no text is gone. A Gap becomes an event of that name. What no frame can hold,
// for it was not Asterisk that wrote it, is an error, and dst as it was.
func (e *Event) AppendAMI(dst []byte, c frames.Charset) ([]byte, error) {
	var headers []frames.Header
	for _, f := range Fields(e.Data) {
		var name []byte
		if f.Name != "$raw" {
			name = []byte(f.Name)
		}
		for _, value := range f.Values {
			text, err := c.AppendText(nil, value)
			if err != nil {
				return dst, e.unwritable(err)
			}
			headers = append(headers, frames.Header{Key: name, Value: text})
		}
	}
	out, err := frames.AppendEvent(dst, headers)
	if err != nil {
		return dst, e.unwritable(err)
	}
	return out, nil
}

func (e *Event) unwritable(err error) error {
	return fmt.Errorf("sequence %d, %s, cannot be written as AMI: %w", e.Sequence, e.Subject, err)
}

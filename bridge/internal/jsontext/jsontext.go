package jsontext

import "github.com/ami-nats-bridge/ami-nats-bridge/frames"

// AppendMember appends a comma and a member with a text.
func AppendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ',', '"'), name...), '"', ':')
	return AppendString(dst, value)
}

// AppendString appends a text. What is no UTF-8 in it becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst, _ = frames.AppendJSONString(dst, []byte(s), frames.UTF8)
	return dst
}

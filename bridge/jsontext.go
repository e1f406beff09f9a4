package bridge

import "github.com/ami-nats-bridge/ami-nats-bridge/frames"

func appendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ',', '"'), name...), '"', ':')
	return appendString(dst, value)
}

func appendString(dst []byte, s string) []byte {
	dst, _ = frames.AppendJSONString(dst, []byte(s), frames.UTF8)
	return dst
}

package logging

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

// redactCore takes secrets out of messages and fields. It looks at nothing
// before a line is to be written, so that one below the level costs nothing.
type redactCore struct {
	zapcore.Core
	r *Redactor
}

func (r *Redactor) wrap(core zapcore.Core) zapcore.Core { return &redactCore{core, r} }

// With redacts the fields that each line of the new core will carry.
func (c *redactCore) With(fields []zapcore.Field) zapcore.Core {
	return &redactCore{c.Core.With(c.r.fields(fields)), c.r}
}

// Check adds this core, not the one within, to the writers of the line.
func (c *redactCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write redacts the line and hands it on.
func (c *redactCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message, e.Stack = c.r.Line(e.Message), c.r.Line(e.Stack)
	return c.Core.Write(e, c.r.fields(fields))
}

// fields returns in redacted; in is left as it is.
func (r *Redactor) fields(in []zapcore.Field) []zapcore.Field {
	out := make([]zapcore.Field, 0, len(in))
	for _, f := range in {
		switch {
		case f.Type == zapcore.SkipType || f.Type == zapcore.NamespaceType:
			out = append(out, f)
		case f.Type != zapcore.InlineMarshalerType && r.Key(f.Key):
			out = append(out, zap.String(f.Key, redact.Hidden))
		case f.Type == zapcore.StringType:
			f.String = r.Line(f.String)
			out = append(out, f)
		case f.Type == zapcore.ByteStringType:
			out = append(out, zap.String(f.Key, r.Line(string(f.Interface.([]byte)))))
		case f.Type == zapcore.BinaryType:
			out = append(out, zap.Binary(f.Key, []byte(r.Line(string(f.Interface.([]byte))))))
		case lazy(f):
			out = append(out, r.rendered(f)...)
		default: // numbers and times
			out = append(out, f)
		}
	}
	return out
}

// rendered returns f itself if there is no secret in what it prints.
func (r *Redactor) rendered(f zapcore.Field) []zapcore.Field {
	changed := false
	shown := render(f)
	for i, s := range shown {
		v := value(s)
		clean := r.value(v)
		if f.Type == zapcore.InlineMarshalerType && r.Key(s.Key) {
			clean = redact.Hidden
		}
		if !reflect.DeepEqual(v, clean) {
			shown[i], changed = zap.Any(s.Key, clean), true
		}
	}
	if !changed {
		return []zapcore.Field{f}
	}
	return shown
}

// value redacts what render has made.
func (r *Redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.Line(v)
	case []any:
		clean := make([]any, len(v))
		for i := range v {
			clean[i] = r.value(v[i])
		}
		return clean
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key := range v {
			if r.Key(key) {
				clean[r.Line(key)] = redact.Hidden
			} else {
				clean[r.Line(key)] = r.value(v[key])
			}
		}
		return clean
	}
	return v
}

// lazy reports whether f is only turned into text when it is encoded.
func lazy(f zapcore.Field) bool {
	switch f.Type {
	case zapcore.StringerType, zapcore.ErrorType, zapcore.ReflectType, zapcore.ObjectMarshalerType,
		zapcore.ArrayMarshalerType, zapcore.InlineMarshalerType:
		return true
	}
	return false
}

// render turns a lazy field into fields of plain values: strings, numbers,
// and lists and maps of them. An error may make several.
func render(f zapcore.Field) []zapcore.Field {
	enc := zapcore.NewMapObjectEncoder()
	f.AddTo(enc)
	fields := make([]zapcore.Field, 0, len(enc.Fields))
	for _, key := range slices.Sorted(maps.Keys(enc.Fields)) {
		fields = append(fields, zap.Any(key, plainValue(enc.Fields[key])))
	}
	return fields
}

// value is what render has put into a field.
func value(f zapcore.Field) any {
	enc := zapcore.NewMapObjectEncoder()
	f.AddTo(enc)
	return plainValue(enc.Fields[f.Key])
}

// plainValue makes strings, numbers, []any and map[string]any of v; what is none of
// them goes through JSON, as it would on its way out.
func plainValue(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return v
	case time.Duration:
		return v.String()
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plainValue(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = plainValue(v[key])
		}
		return object
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var decoded any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		return err.Error()
	}
	return decoded
}

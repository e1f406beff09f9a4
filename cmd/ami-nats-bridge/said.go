package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// unsaid says which flag or argument was given as nothing. A variable of a script that is
// empty would select all where it was to select one.
func unsaid(command *kong.Context) error {
	for _, part := range command.Path {
		var value *kong.Value
		var name string
		switch {
		case part.Flag != nil:
			value, name = part.Flag.Value, "--"+part.Flag.Name
		case part.Positional != nil:
			value, name = part.Positional, "<"+part.Positional.Name+">"
		default:
			continue
		}
		if nothing(value.Target) {
			return usage("%s: wants a value, not nothing", name)
		}
	}
	return nil
}

// nothing reports whether a text, or one of several, is empty. A list that is given
// as "" has none.
func nothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.Len() == 0
	case reflect.Slice:
		for i := range v.Len() {
			if nothing(v.Index(i)) {
				return true
			}
		}
		return v.Len() == 0
	default:
	}
	return false
}

// aDuration reads a time that something takes. It says how one is written, which the error
// of time.ParseDuration does not.
func aDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("a time", &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("wants a time with its unit, such as 20s or 5m, not %.40q", text)
	}
	target.SetInt(int64(d))
	return nil
}

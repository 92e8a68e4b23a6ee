// Package output prints what a command found: tables for a person, JSON or
// YAML for a program. It knows no command and no service.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"midplane/fault"
)

// Output is where a command prints, and how.
type Output struct {
	Stdout, Stderr io.Writer
	Format         Format // of -o
	NoHeaders      bool   // of get: rows only
}

// Format is the value of -o.
type Format string

// The formats. json and yaml carry every field, and nothing else is on
// standard output.
const (
	TableFormat Format = "table"
	Wide        Format = "wide"
	JSON        Format = "json"
	YAML        Format = "yaml"
	Name        Format = "name" // of "get" only: kind/name, one a line
)

// String, Set and Type make it a flag.
func (f *Format) String() string { return string(*f) }

// Set refuses an unknown format.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case TableFormat, Wide, JSON, YAML, Name:
		*f = Format(s)
		return nil
	}
	return fault.New(fault.Invalid, "want table, wide, json, yaml or name")
}

// Type is what the help calls it.
func (f *Format) Type() string { return "FORMAT" }

// Machine reports whether a program reads the output.
func (o *Output) Machine() bool { return o.Format == JSON || o.Format == YAML }

// Say prints one line for a person on standard output.
func (o *Output) Say(format string, args ...any) { fmt.Fprintf(o.Stdout, format+"\n", args...) }

// Print writes v as JSON or YAML: two-space indent, times UTC, lists never null.
func (o *Output) Print(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	if o.Format == YAML {
		if data, err = toYAML(data); err != nil {
			return fault.Wrap(fault.Other, err, "write YAML")
		}
	}
	_, err = o.Stdout.Write(data)
	return fault.Wrap(fault.Other, err, "write output")
}

// PrintLine writes v as JSON on one line.
func (o *Output) PrintLine(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		return fault.Wrap(fault.Other, err, "write JSON")
	}
	line.WriteByte('\n')
	_, err = o.Stdout.Write(line.Bytes())
	return fault.Wrap(fault.Other, err, "write output")
}

func encode(v any) ([]byte, error) {
	tidy := reflect.New(reflect.TypeOf(v)).Elem()
	tidy.Set(reflect.ValueOf(v))
	tidyUp(tidy)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(tidy.Interface()); err != nil {
		return nil, fault.Wrap(fault.Other, err, "write JSON")
	}
	return escapeJSON(b.Bytes()), nil
}

// tidyUp makes times UTC and nil lists empty, also when the service sent them
// otherwise.
func tidyUp(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && v.Kind() == reflect.Pointer {
			tidyUp(v.Elem())
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			return
		}
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			tidyUp(v.Index(i))
		}
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			if v.CanSet() {
				v.Set(reflect.ValueOf(t.UTC()))
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				tidyUp(v.Field(i))
			}
		}
	}
}

// Printable replaces escape sequences and other control characters, with which
// a device could disturb a person's terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case hostile(r):
			return '�'
		}
		return r
	}, strings.TrimSpace(s))
}

const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// Paint colours the words that say how something is.
func (o *Output) Paint(s string) string {
	if !o.Coloured() {
		return s
	}
	switch s {
	case "up", "ok", "online", "ready", "yes", "live":
		return green + s + reset
	case "down", "critical", "offline", "emergency", "alert", "error", "no":
		return red + s + reset
	case "warning", "pending", "unknown":
		return yellow + s + reset
	}
	return s
}

// Coloured reports whether words are painted: on a terminal only, and not when
// NO_COLOR is set.
func (o *Output) Coloured() bool {
	return o.terminal() != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

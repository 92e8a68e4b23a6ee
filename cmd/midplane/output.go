package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"midplane/fault"
)

// format is the value of -o.
type format string

// The formats. json and yaml carry every field, and nothing else is on
// standard output.
const (
	formatTable format = "table"
	formatWide  format = "wide"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

// String, Set and Type make it a flag.
func (f *format) String() string { return string(*f) }

// Set refuses what is no format.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatWide, formatJSON, formatYAML:
		*f = format(s)
		return nil
	}
	return fault.New(fault.Invalid, "want table, wide, json or yaml")
}

// Type is what the help calls it.
func (f *format) Type() string { return "FORMAT" }

// machine reports whether a program reads the output.
func (f format) machine() bool { return f == formatJSON || f == formatYAML }

// print writes v as JSON or YAML: two-space indent, times UTC, lists never null.
func (a *app) print(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	if a.format == formatYAML {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return fault.Wrap(fault.Other, err, "write YAML")
		}
	}
	_, err = a.stdout.Write(data)
	return fault.Wrap(fault.Other, err, "write output")
}

// printLine writes v as JSON on one line.
func (a *app) printLine(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		return fault.Wrap(fault.Other, err, "write JSON")
	}
	line.WriteByte('\n')
	_, err = a.stdout.Write(line.Bytes())
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
	return b.Bytes(), nil
}

// tidyUp makes times UTC and nil lists empty, whatever the service sent.
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

// column is one column of a table of T.
type column[T any] struct {
	name  string
	value func(T) string
	wide  bool // only with -o wide
	right bool // a number
	long  bool // a text that may be wrapped
}

// printList prints rows in the format asked for. noun is the plural.
func printList[T any](a *app, noun string, rows []T, columns []column[T]) error {
	if a.format.machine() {
		if rows == nil {
			rows = []T{}
		}
		return a.print(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintf(a.stderr, "no %s\n", noun)
		return nil
	}
	fmt.Fprintln(a.stdout, renderTable(a, fmt.Sprintf("%d %s", len(rows), plural(noun, len(rows))), rows, columns))
	return nil
}

// renderTable draws a table in the look of the nats CLI.
func renderTable[T any](a *app, title string, rows []T, columns []column[T]) string {
	w := table.NewWriter()
	style := table.StyleRounded
	style.Format.Header = text.FormatDefault
	style.Title.Align = text.AlignCenter
	w.SetStyle(style)
	w.SetTitle("%s", title)
	var header table.Row
	var configs []table.ColumnConfig
	var shown []column[T]
	for _, c := range columns {
		if c.wide && a.format != formatWide {
			continue
		}
		shown = append(shown, c)
		header = append(header, c.name)
		cfg := table.ColumnConfig{Number: len(shown)}
		if c.right {
			cfg.Align, cfg.AlignHeader = text.AlignRight, text.AlignRight
		}
		if c.long && a.format != formatWide {
			cfg.WidthMax, cfg.WidthMaxEnforcer = 60, text.WrapSoft
		}
		configs = append(configs, cfg)
	}
	w.AppendHeader(header)
	w.SetColumnConfigs(configs)
	for _, r := range rows {
		row := make(table.Row, 0, len(shown))
		for _, c := range shown {
			row = append(row, a.paint(printable(c.value(r))))
		}
		w.AppendRow(row)
	}
	return w.Render()
}

// printable drops what a device could send to a person's terminal to disturb
// it: escape sequences and other control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
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

// paint colours the words that say how something is.
func (a *app) paint(s string) string {
	if !a.colour() {
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

// colour is used on a terminal only, and not when NO_COLOR is set.
func (a *app) colour() bool {
	f, ok := a.stdout.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

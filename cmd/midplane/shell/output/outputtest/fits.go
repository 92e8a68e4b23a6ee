// Package outputtest is the exam of a table's columns: with any values it fits a
// narrow terminal, and what a thing is called stays. For tests.
package outputtest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"midplane/cmd/midplane/shell/output"
)

// fill gives every field of a row a long value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("länger als das ", 6))
	case reflect.Int, reflect.Int64:
		v.SetInt(123456789)
	case reflect.Uint64:
		v.SetUint(123456789)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 3, 3))
			for i := range v.Len() {
				fill(v.Index(i))
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Now().Add(-time.Hour)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// Fits draws a table of T in 80 columns, with long values, in which the columns
// named must stay.
func Fits[T any](t *testing.T, columns []output.Column[T], must ...string) {
	t.Helper()
	t.Setenv("COLUMNS", "80")
	var row T
	fill(reflect.ValueOf(&row).Elem())
	o := &output.Output{Format: output.TableFormat, NoHeaders: true}
	bare := output.Table(o, "2 rows", []T{row, row}, columns)
	o.NoHeaders = false
	whole := output.Table(o, "2 rows", []T{row, row}, columns)
	for _, line := range strings.Split(bare+"\n"+whole, "\n") {
		if w := text.StringWidthWithoutEscSequences(line); w > 80 {
			t.Errorf("%T: %d columns wide:\n%s", row, w, line)
		}
	}
	lines := strings.Split(whole, "\n")
	if name := columns[0].Name; name == "Time" && !strings.Contains(whole, "│ "+columns[0].Value(row)+" │") {
		t.Errorf("%T: the time is shortened:\n%s", row, whole)
	}
	if len(lines) != 8 {
		t.Fatalf("%T: a cell is wrapped:\n%s", row, whole)
	}
	for _, name := range must {
		if !strings.Contains(lines[3], " "+name+" ") {
			t.Errorf("%T: no column %s:\n%s", row, name, whole)
		}
	}
}

package output

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// what devices may say.
var said = []string{
	"plain ä 東 👩", "\x1b[2J\x1b]0;owned\x07", "\u009b31m", "a\x00b", "\u202eevil\u202c", "\x7f", "two\nlines\t", `"quoted" \ and: #`, "\u2028", "\U000e0041tag", "- list", "yes", "",
}

// Nothing that acts on a terminal is printed, and a program reads what was said.
func TestHostileTextsAreWrittenAsNumbers(t *testing.T) {
	for _, format := range []Format{JSON, YAML} {
		var b strings.Builder
		o := &Output{Stdout: &b, Format: format}
		if err := o.Print(map[string]any{"said": said}); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(b.String(), hostile); i >= 0 {
			t.Errorf("%s: %q", format, b.String()[i:min(len(b.String()), i+10)])
		}
		var got struct {
			Said []string `json:"said"`
		}
		read := yaml.Unmarshal
		if format == JSON {
			read = json.Unmarshal
		}
		if err := read([]byte(b.String()), &got); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, b.String())
		}
		for i, want := range said {
			if got.Said[i] != want {
				t.Errorf("%s: read %q, want %q", format, got.Said[i], want)
			}
		}
	}
}

func TestClean(t *testing.T) {
	var b strings.Builder
	w := Clean(&b)
	text := green + "up" + reset + " \x1b[2J 東 \x9b \u202e end\n"
	for i := range len(text) { // also when a character comes in pieces
		if _, err := w.Write([]byte(text[i : i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.String(); strings.ContainsAny(got, "\x1b\u202e") || !strings.Contains(got, "東") || !strings.HasSuffix(got, "end\n") {
		t.Errorf("in pieces: %q", got)
	}
	b.Reset()
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if want := green + "up" + reset + " �[2J 東 � � end\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func FuzzHostile(f *testing.F) {
	for _, s := range said {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, format := range []Format{JSON, YAML, TableFormat} {
			var b strings.Builder
			o := &Output{Stdout: Clean(&b), Format: format}
			if err := o.Print(map[string]string{key: value}); err != nil {
				t.Fatal(err)
			}
			if err := List(o, "things", []string{value}, []Column[string]{{Name: "Value", Value: func(s string) string { return s }}}); err != nil {
				t.Fatal(err)
			}
			out := b.String()
			for _, c := range []string{green, red, yellow, reset} {
				out = strings.ReplaceAll(out, c, "")
			}
			if i := strings.IndexFunc(out, hostile); i >= 0 || !utf8.ValidString(out) {
				t.Errorf("%s: %q", format, b.String())
			}
		}
	})
}

package lint

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Nine files in ten have at most this many lines, and none is a book.
const (
	shortFile = 300
	longest   = 600
)

func TestFilesAreShort(t *testing.T) {
	files, long := 0, 0
	goFiles(t, func(file, dir string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := bytes.Count(data, []byte("\n"))
		files++
		if n > shortFile {
			long++
		}
		if n > longest && !strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s has %d lines: split it", file, n)
		}
	})
	if long*10 > files {
		t.Errorf("%d of %d files have more than %d lines", long, files, shortFile)
	}
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	described, all := map[string]bool{}, map[string]bool{}
	goFiles(t, func(file, dir string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		all[dir] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil && len(f.Doc.Text()) > 60 {
			described[dir] = true
		}
	})
	for dir := range all {
		if !described[dir] {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}

// What does not belong into a finished thing.
var forbidden = []*regexp.Regexp{
	regexp.MustCompile(`\bt\.Skip(f|Now)?\(`),
	regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`),
	regexp.MustCompile(`\bfunc init\(\)`),
	regexp.MustCompile(`context\.TODO\(\)`),
}

func TestNothingIsLeftForLater(t *testing.T) {
	goFiles(t, func(file, dir string) {
		if dir == "internal/lint" {
			return
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, re := range forbidden {
			if loc := re.FindIndex(data); loc != nil {
				t.Errorf("%s:%d: %s", file, 1+bytes.Count(data[:loc[0]], []byte("\n")), data[loc[0]:loc[1]])
			}
		}
	})
}

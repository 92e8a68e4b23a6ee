package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// privateWords are words for which the field has plain ones. A few are English
// after all, so a share is allowed and not one word forbidden.
var privateWords = regexp.MustCompile(`(?i)\b(told|said|anew|whoever|meanwhile|nobody|somebody|whence|whatever|borne|heard|knock(s|ed|ing)?|doorman|crowd|vault|outlaws?|bury|buried)\b|[a-z](Told|Whence|Crowd|Doorman|Vault|Outlaw)`)

// privateShare is how many of them a thousand lines may have.
const privateShare = 1.0

func TestLanguageIsPlain(t *testing.T) {
	type tally struct{ words, lines int }
	perDir := map[string]*tally{}
	var all tally
	count := func(file, dir string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if perDir[dir] == nil {
			perDir[dir] = &tally{}
		}
		n, lines := len(privateWords.FindAll(data, -1)), bytes.Count(data, []byte("\n"))
		perDir[dir].words += n
		perDir[dir].lines += lines
		all.words += n
		all.lines += lines
	}
	goFiles(t, func(file, dir string) {
		if !strings.HasSuffix(file, "_test.go") && dir != "internal/lint" {
			count(file, dir)
		}
	})
	var docs tally
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/runbooks/*.md", "../../docs/reference/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs.words += len(privateWords.FindAll(data, -1))
			docs.lines += bytes.Count(data, []byte("\n"))
		}
	}
	for what, n := range map[string]tally{"Go outside tests": all, "the documentation": docs} {
		if float64(n.words)*1000 > privateShare*float64(n.lines) {
			t.Errorf("%s: %d words for which there are plain ones, in %d lines; at most %.0f in 1,000", what, n.words, n.lines, privateShare)
			for dir, n := range perDir {
				if n.words > 0 {
					t.Logf("%s: %d in %d", dir, n.words, n.lines)
				}
			}
		}
	}
}

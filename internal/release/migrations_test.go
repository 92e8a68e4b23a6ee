package release_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midplane/internal/release"
)

// readable are the migrations that came after the last release, and why the program
// of that release can still use a database that has them: until an upgrade is ended,
// a primary or poller may go back. Both refuse a database whose schema is newer than
// theirs, so there is no way to do this yet; one has to come with the first entry.
var readable = map[string]string{}

// databases are the folders of migrations.
var databases = []string{"primary/store/sqlite/migrations", "poller/outbox/migrations"}

// migrations lists every migration with its checksum, as sha256sum does.
func migrations(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, dir := range databases {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.sql"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(data)
			out.WriteString(hex.EncodeToString(sum[:]) + "  " + dir + "/" + filepath.Base(file) + "\n")
		}
	}
	return out.String()
}

// Migrations of a release never change, and none is added that would keep a primary
// or a poller from going back.
func TestDatabasesStayReadable(t *testing.T) {
	now := map[string]string{} // checksum by name
	for line := range strings.Lines(migrations(t)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		now[name] = sum
	}
	known := map[string]bool{}
	eachRelease(t, func(t *testing.T, r release.Release) {
		data, err := os.ReadFile(filepath.Join("testdata", r.Version, "migrations.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			if known[name] = true; now[name] != sum {
				t.Errorf("%s is not what %s shipped: a migration that ran once is never changed", name, r.Version)
			}
		}
	})
	for name := range now {
		if !known[name] && readable[name] == "" {
			t.Errorf("%s is new since %s: how does that version use a database that has it? See readable", name, release.Last().Version)
		}
	}
}

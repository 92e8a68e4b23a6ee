package collecttest

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midplane/event"
	"midplane/fault"
)

// watch looks for secrets in all that a collector says, returns and prints.
type watch struct {
	secrets []string
	printed *os.File
	undo    func()
}

// listen catches the process's standard streams and its logger until done.
func listen(t *testing.T, secrets []string) *watch {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "printed"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, logger := os.Stdout, os.Stderr, log.Writer()
	os.Stdout, os.Stderr = f, f
	log.SetOutput(f)
	w := &watch{secrets: secrets, printed: f}
	w.undo = func() {
		os.Stdout, os.Stderr = stdout, stderr
		log.SetOutput(logger)
		w.undo = func() {}
	}
	t.Cleanup(func() { w.undo(); f.Close() })
	return w
}

func (w *watch) see(t *testing.T, es []event.Event, err error) {
	t.Helper()
	shown := fmt.Sprintf("%v %+v %s", err, err, fault.HintOf(err))
	for _, e := range es {
		shown += fmt.Sprintf("\n%+v %s", e, e.Data)
	}
	w.search(t, "what it says", shown)
}

func (w *watch) search(t *testing.T, where, text string) {
	t.Helper()
	for i, s := range w.secrets {
		if strings.Contains(text, s) {
			t.Errorf("secret number %d is in %s", i+1, where)
		}
	}
}

// done searches what was printed. A collector prints nothing at all: it has no
// logger, its caller logs.
func (w *watch) done(t *testing.T) {
	t.Helper()
	w.undo()
	if _, err := w.printed.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(w.printed)
	if err != nil {
		t.Fatal(err)
	}
	w.search(t, "what it prints", string(text))
	if len(text) > 0 {
		t.Errorf("the collector prints %d bytes on its own", len(text))
	}
}

package output

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal says how wide it is; COLUMNS wins, and a file has no width.
func TestWidthOfTheTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "")
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 72}); err != nil {
		t.Fatal(err)
	}
	if got := (&Output{Stdout: terminal}).width(); got != 72 {
		t.Errorf("width %d, want 72", got)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := (&Output{Stdout: file}).width(); got != 0 {
		t.Errorf("width %d of a file", got)
	}
	t.Setenv("COLUMNS", "50")
	for _, out := range []*os.File{terminal, file} {
		if got := (&Output{Stdout: out}).width(); got != 50 {
			t.Errorf("width %d, want that of COLUMNS", got)
		}
	}
}

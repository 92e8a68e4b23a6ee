package output

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// terminal returns standard output when it is one, or else nil.
func (o *Output) terminal() *os.File {
	f, _ := o.Stdout.(*os.File)
	if c, ok := o.Stdout.(*cleaner); ok {
		f = c.file()
	}
	if f == nil {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}

// width is how many columns the output has: COLUMNS, or else those of the
// terminal. 0 is not known.
func (o *Output) width() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	f := o.terminal()
	if f == nil {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

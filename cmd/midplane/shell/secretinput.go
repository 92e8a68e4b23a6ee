package shell

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"midplane/fault"
)

// maxSecret is how much of standard input a secret may be.
const maxSecret = 64 << 10

// ReadSecret reads one line that must not be seen: from a terminal without
// echo, after a prompt, or else from what standard input is. A secret is
// never an argument, which every process of the machine can read.
func (s *Shell) ReadSecret(ctx context.Context, prompt string) (text string, terminal bool, err error) {
	f, ok := s.Stdin.(*os.File)
	if ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && isTerminal(f)
	}
	if !terminal {
		text, err = firstLineOf(s.Stdin)
		return text, false, err
	}
	if err := stty(f, "-echo"); err != nil {
		return "", true, fault.WithHint(fault.Wrap(fault.Other, err, "the terminal cannot be kept from showing what is typed"), "give it on standard input instead, from a file")
	}
	fmt.Fprint(s.Out.Stderr, prompt)
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { text, err := firstLineOf(f); read <- line{text, err} }()
	select {
	case l := <-read:
		text, err = l.text, l.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	fmt.Fprintln(s.Out.Stderr)
	if back := stty(f, "echo"); err == nil && back != nil {
		err = fault.Wrap(fault.Other, back, "the terminal")
	}
	return text, true, err
}

// firstLineOf reads byte by byte, so that a second line stays for the next
// reader.
func firstLineOf(r io.Reader) (string, error) {
	if r == nil {
		return "", fault.New(fault.Invalid, "nothing is on standard input")
	}
	text, err := Lines(r).ReadString('\n')
	text = strings.TrimRight(text, "\r\n")
	switch {
	case err != nil && err != io.EOF:
		return "", fault.Wrap(fault.Other, err, "standard input")
	case text == "":
		return "", fault.WithHint(fault.New(fault.Invalid, "nothing is on standard input"), "write it as one line")
	}
	return text, nil
}

// Lines reads r line by line and takes nothing of it that it has not returned.
// It ends after as much as a secret may have.
func Lines(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(io.LimitReader(oneByOne{r}, maxSecret), 16)
}

// oneByOne reads single bytes.
type oneByOne struct{ r io.Reader }

// Read implements io.Reader.
func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// isTerminal: /dev/null is a character device too, and no terminal.
func isTerminal(f *os.File) bool { return stty(f, "-g") == nil }

func stty(f *os.File, arg string) error {
	cmd := exec.Command("stty", arg)
	cmd.Stdin = f
	return cmd.Run()
}

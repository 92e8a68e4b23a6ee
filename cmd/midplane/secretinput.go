package main

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

// readSecret reads one line that must not be seen: from a terminal without
// echo, after a prompt, or from whatever else standard input is. A secret is
// never an argument, which every process of the machine can read.
func (a *app) readSecret(ctx context.Context, prompt string) (text string, terminal bool, err error) {
	f, ok := a.stdin.(*os.File)
	if ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && isTerminal(f)
	}
	if !terminal {
		text, err = firstLineOf(a.stdin)
		return text, false, err
	}
	if err := stty(f, "-echo"); err != nil {
		return "", true, fault.WithHint(fault.Wrap(fault.Other, err, "the terminal cannot be kept from showing what is typed"), "give it on standard input instead, from a file")
	}
	fmt.Fprint(a.stderr, prompt)
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
	fmt.Fprintln(a.stderr)
	if back := stty(f, "echo"); err == nil && back != nil {
		err = fault.Wrap(fault.Other, back, "the terminal")
	}
	return text, true, err
}

// firstLineOf reads byte by byte what there is, so that a second line stays
// for who asks next.
func firstLineOf(r io.Reader) (string, error) {
	if r == nil {
		return "", fault.New(fault.Invalid, "nothing is on standard input")
	}
	in := bufio.NewReaderSize(io.LimitReader(oneByOne{r}, maxSecret), 16)
	text, err := in.ReadString('\n')
	text = strings.TrimRight(text, "\r\n")
	switch {
	case err != nil && err != io.EOF:
		return "", fault.Wrap(fault.Other, err, "standard input")
	case text == "":
		return "", fault.WithHint(fault.New(fault.Invalid, "nothing is on standard input"), "write it as one line")
	}
	return text, nil
}

// oneByOne takes no more from a reader than it is asked to give at once.
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

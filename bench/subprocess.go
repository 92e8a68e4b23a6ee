package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// subprocess is this program again, in a process of its own. It ends when in is
// closed, or when this process does.
type subprocess struct {
	cmd *exec.Cmd
	in  io.Closer
	out io.Reader
}

// startSub starts this program with the argument that says what it is to be, and an
// order as JSON, which holds no secret.
func startSub(ctx context.Context, arg string, order any, env ...string) (s subprocess, err error) {
	data, err := json.Marshal(order)
	if err != nil {
		return s, err
	}
	exe, err := os.Executable()
	if err != nil {
		return s, err
	}
	s.cmd = exec.CommandContext(ctx, exe, arg, string(data))
	s.cmd.Stderr = os.Stderr
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return s, err
	}
	if s.out, err = s.cmd.StdoutPipe(); err != nil {
		return s, err
	}
	return s, s.cmd.Start()
}

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"midplane": main})
}

// TestScripts runs testdata/*.txtar: each shows a few commands against a
// control plane of canned answers behind a real NATS server with real JWTs.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			f, err := startFake(env.WorkDir)
			if err != nil {
				return err
			}
			env.Defer(f.stop)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "xdg"))
			env.Setenv("FAKE_URL", f.server.ClientURL())
			env.Values["fake"] = f
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":        runForCode,
			"interrupted": runUntilInterrupted,
			"stopserver":  stopServer,
			"mode":        checkMode,
		},
	})
}

// runForCode is "code N COMMAND…": the command must end with exit code N.
func runForCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// runUntilInterrupted is "interrupted N POLLS COMMAND…": the command is sent
// SIGINT once it has asked event.follow POLLS times, and must end with N.
func runUntilInterrupted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupted N POLLS COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	polls, err := strconv.Atoi(args[1])
	ts.Check(err)
	f := ts.Value("fake").(*fake)
	var out, errOut bytes.Buffer
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+ts.Getenv("XDG_CONFIG_HOME"))
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-f.followed(polls):
	case err := <-ended:
		ts.Fatalf("ended by itself: %v\n%s", err, errOut.String())
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		ts.Fatalf("did not ask %d times\n%s", polls, errOut.String())
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	<-ended
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	_, err = ts.Stdout().Write(out.Bytes())
	ts.Check(err)
	_, err = ts.Stderr().Write(errOut.Bytes())
	ts.Check(err)
}

func stopServer(ts *testscript.TestScript, _ bool, _ []string) { ts.Value("fake").(*fake).stop() }

// checkMode is "mode 600 FILE".
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatInt(int64(info.Mode().Perm()), 8); (got == args[0]) == neg {
		ts.Fatalf("%s has mode %s", args[1], got)
	}
}

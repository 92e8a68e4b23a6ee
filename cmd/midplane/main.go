// Command midplane is the whole program: the cluster, the primary, the pollers
// and the command line that looks at them. This package holds the tree of
// commands (root.go) and what is about the program itself: its version, its
// settings, its help. The commands are in rooms: look asks and shows, change
// changes tenants, people decides who may connect, setup writes deployment
// folders, serve runs the servers; shell is what all of them are given. Rooms
// do not import each other: internal/lint keeps that.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"midplane/cmd/midplane/shell"
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit code. The first SIGINT or
// SIGTERM ends the command's context, a second one the process.
func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if sig, ok := (<-signals).(syscall.Signal); ok {
			signal.Stop(signals)
			cancel(shell.Stopped{Signal: sig})
		}
	}()
	sh := shell.New(readBuild().Version, stdin, stdout, stderr)
	root := newRootCmd(sh)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return sh.Finish(ctx, cmd, err)
}

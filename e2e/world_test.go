//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// world is a whole deployment with the tenants of deploy/compose/tenants.
type world interface {
	// up starts everything that does not run and returns when the tenants are
	// set up; down stops everything in good order, and the data stays.
	up(t *testing.T)
	down(t *testing.T)

	// kill ends a node as kill -9 does; start starts it again.
	kill(t *testing.T, node string)
	start(t *testing.T, node string)

	page() string                                        // URL of the primary
	data() string                                        // data folder of the primary, where midplane runs
	token() string                                       // of a viewer of every tenant, for that page
	servers() []string                                   // client URLs of n1, n2, n3
	dial(tenant string) []nats.Option                    // how to reach them from the tenant's network
	midplane(t *testing.T, args ...string) string        // the command line, as the admin
	user(t *testing.T, tenant, role, name string) string // makes a user; path of its .creds
	poller(t *testing.T, tenant string) string           // path of the .creds of the tenant's poller
	ca(t *testing.T) string                              // path of the CA's certificate
	apart(t *testing.T)                                  // what else must keep the tenants apart in this world
}

// The pollers, and their sites, of deploy/compose/tenants.
var (
	pollers = map[string]string{"acme": "syd-01", "globex": "hq-01"}
	sites   = map[string]string{"acme": "syd", "globex": "hq"}
)

// nodes are those of every world.
var nodes = []string{"n1", "n2", "n3"}

// cleaning is how long the end of a test may take.
const cleaning = 2 * time.Minute

// eventually asks until do has no complaint, and fails with the last one. It
// gives up early enough for the run to clean up before its own time is over.
func eventually(t *testing.T, within time.Duration, what string, do func() error) time.Duration {
	t.Helper()
	began := time.Now()
	if end, ok := t.Deadline(); ok {
		within = min(within, time.Until(end)-cleaning)
	}
	for {
		err := do()
		took := time.Since(began)
		if err == nil {
			return took
		}
		if took > within {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// repo is the folder of the whole project.
func repo(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// needs fails when a program is missing.
func needs(t *testing.T, program, hint string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%s is missing, and this test runs it: %s", program, hint)
	}
}

// run runs a program to its end and fails when it fails. Its standard output
// is returned.
func run(t *testing.T, within time.Duration, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(within, dir, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is run for what may fail.
func try(within time.Duration, dir string, env []string, name string, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), within)
	defer stop()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("not done within %s", within)
		}
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

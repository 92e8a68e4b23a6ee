//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestProcesses runs the story with plain processes on loopback, as a person
// would start them by hand: TLS and all.
func TestProcesses(t *testing.T) {
	tell(t, newProcesses(t))
}

// processes is a deployment folder and the processes that work from it.
type processes struct {
	bin, dir string
	release  map[string]string // the program of a process that is of another version
	env      []string
	client   []int          // ports of n1, n2, n3
	http     map[string]int // port of each process
	running  map[string]*process
	viewer   string // token for the page
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func newProcesses(t *testing.T) *processes {
	needs(t, "go", "see go.dev/dl")
	dir := t.TempDir()
	bin := filepath.Join(dir, "midplane")
	began := time.Now()
	run(t, 8*time.Minute, repo(t), []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", bin, "./cmd/midplane")
	t.Logf("built in %s", time.Since(began).Round(time.Second))
	return deploy(t, dir, bin)
}

// deploy makes a deployment folder in dir with the program bin.
func deploy(t *testing.T, dir, bin string) *processes {
	p := &processes{bin: bin, dir: dir, running: map[string]*process{}, http: map[string]int{}, release: map[string]string{}}
	p.env = []string{"XDG_CONFIG_HOME=" + filepath.Join(p.dir, "config"), "XDG_STATE_HOME=" + filepath.Join(p.dir, "state")}
	free := freePorts(t, 12)
	args := []string{"init", "--dir", p.dir + "/deployment", "--save-context"}
	for i, n := range nodes {
		args = append(args, "--node", fmt.Sprintf("%s=127.0.0.1:%d:%d", n, free[i], free[3+i]))
		p.http[n] = free[6+i]
	}
	p.client, p.http["primary"], p.http["acme"], p.http["globex"] = free[:3], free[9], free[10], free[11]
	p.midplane(t, args...)
	p.tenants(t)
	t.Cleanup(func() { p.remove(t) })
	return p
}

// tenants writes the tenants of deploy/compose with the addresses of here.
func (p *processes) tenants(t *testing.T) {
	from := filepath.Join(repo(t), "deploy", "compose", "tenants")
	if err := os.CopyFS(p.dir+"/tenants", os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for tenant := range pollers {
		path := filepath.Join(p.dir, "tenants", tenant+".yaml")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		port := ""
		for line := range strings.Lines(string(data)) {
			for i, n := range nodes {
				if strings.Contains(line, "address: "+n) {
					line, port = strings.Replace(line, n, "127.0.0.1", 1), strconv.Itoa(p.client[i])
				}
			}
			line = strings.Replace(line, `port: "4222"`, `port: "`+port+`"`, 1)
			line = strings.Replace(line, "127.0.0.1:8482", "127.0.0.1:"+strconv.Itoa(p.http[tenant]), 1)
			// Here a dead node's address still answers a ping.
			if !strings.Contains(line, "collector: ping") {
				out = append(out, line)
			}
		}
		if err := os.WriteFile(path, []byte(strings.Join(out, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// launch starts one process; its log is kept beside.
func (p *processes) launch(t *testing.T, name string, args ...string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	bin := p.bin
	if other := p.release[name]; other != "" {
		bin = other
	}
	cmd := exec.Command(bin, append(args, "--http", "127.0.0.1:"+strconv.Itoa(p.http[name]))...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), p.env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	one := &process{cmd: cmd, done: make(chan struct{})}
	p.running[name] = one
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(one.done)
	}()
}

// ready waits for /readyz.
func (p *processes) ready(t *testing.T, name string) {
	t.Helper()
	eventually(t, 3*time.Minute, name+" is ready", func() error {
		resp, err := browser.Get("http://127.0.0.1:" + strconv.Itoa(p.http[name]) + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz: %s", resp.Status)
		}
		return nil
	})
}

func (p *processes) up(t *testing.T) {
	for _, n := range nodes {
		p.launchNode(t, n)
	}
	p.launchPrimary(t)
	for tenant := range pollers {
		p.launchPoller(t, tenant) // the first time it waits for its credentials
	}
	for _, n := range append([]string{"primary"}, nodes...) {
		p.ready(t, n)
	}
	if p.viewer == "" {
		p.viewer = newToken(t, p)
	}
	p.midplane(t, "apply", "-f", p.dir+"/tenants")
	for tenant, name := range pollers {
		p.user(t, tenant, "poller", name)
	}
}

func (p *processes) launchNode(t *testing.T, n string) {
	t.Helper()
	p.launch(t, n, "node", "--dir", p.dir+"/deployment/nodes/"+n, "--data", p.dir+"/data/"+n)
}

func (p *processes) launchPrimary(t *testing.T) {
	t.Helper()
	p.launch(t, "primary", "primary", "--deployment", p.dir+"/deployment", "--data", p.dir+"/data/primary")
}

// launchPoller starts the poller of a tenant.
func (p *processes) launchPoller(t *testing.T, tenant string) {
	t.Helper()
	args := []string{"poller", "--creds", p.creds(tenant, pollers[tenant]), "--ca", p.ca(t), "--data", p.dir + "/data/" + tenant}
	for _, s := range p.servers() {
		args = append(args, "--server", s)
	}
	p.launch(t, tenant, args...)
}

func (p *processes) down(t *testing.T) {
	for _, name := range []string{"acme", "globex", "primary", "n1", "n2", "n3"} {
		p.end(t, name)
	}
}

// end stops one process in good order.
func (p *processes) end(t *testing.T, name string) {
	t.Helper()
	one := p.running[name]
	_ = one.cmd.Process.Signal(syscall.SIGTERM) // it may have ended: seen below
	select {
	case <-one.done:
	case <-time.After(40 * time.Second):
		t.Fatalf("%s does not stop", name)
	}
	if code := one.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s was asked to stop and exits with %d", name, code)
	}
	delete(p.running, name)
}

func (p *processes) kill(t *testing.T, node string) {
	one := p.running[node]
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-one.done
}

func (p *processes) start(t *testing.T, node string) { p.launchNode(t, node) }

func (p *processes) page() string { return "http://127.0.0.1:" + strconv.Itoa(p.http["primary"]) }

func (p *processes) token() string { return p.viewer }

func (p *processes) data() string { return p.dir + "/data/primary" }

func (p *processes) servers() (out []string) {
	for _, port := range p.client {
		out = append(out, "tls://127.0.0.1:"+strconv.Itoa(port))
	}
	return out
}

func (p *processes) dial(string) []nats.Option { return nil }

func (p *processes) midplane(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, 90*time.Second, p.dir, p.env, p.bin, args...)
}

func (p *processes) creds(tenant, name string) string {
	return filepath.Join(p.dir, tenant+"-"+name+".creds")
}

func (p *processes) user(t *testing.T, tenant, role, name string) string {
	t.Helper()
	p.midplane(t, "user", "create", "--tenant", tenant, "--role", role, name, "--out", p.creds(tenant, name))
	return p.creds(tenant, name)
}

func (p *processes) poller(_ *testing.T, tenant string) string {
	return p.creds(tenant, pollers[tenant])
}

func (p *processes) ca(*testing.T) string { return p.dir + "/deployment/tls/ca.crt" }

// apart: on one machine there is nothing but the accounts to keep tenants apart.
func (p *processes) apart(*testing.T) {}

func (p *processes) remove(t *testing.T) {
	for _, one := range p.running {
		_ = one.cmd.Process.Kill() // it may have ended
		<-one.done
	}
	if !t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(p.dir, "*.log"))
	for _, path := range logs {
		data, _ := os.ReadFile(path)
		lines := strings.Split(string(data), "\n")
		t.Logf("log of %s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

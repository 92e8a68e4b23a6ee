package testcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/fault"
	"midplane/internal/ports"
	"midplane/platform/deployment"
	"midplane/telemetry"
)

// Build builds the program into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "midplane")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "midplane/cmd/midplane")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fault.New(fault.Other, "build: %w: %s", err, out)
	}
	return bin, nil
}

// Machine is a folder in which the program runs as separate processes, with a
// configuration folder (and so NATS contexts) of its own.
type Machine struct {
	Bin, Dir string
	mu       sync.Mutex
	running  map[string]*Process
}

// NewMachine returns a machine for the program bin in dir.
func NewMachine(bin, dir string) *Machine {
	return &Machine{Bin: bin, Dir: dir, running: map[string]*Process{}}
}

// Process is one running process. Its output is in <dir>/<name>.log.
type Process struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, once done is closed
}

func (m *Machine) env() []string {
	env := []string{"XDG_CONFIG_HOME=" + filepath.Join(m.Dir, "config"), "XDG_STATE_HOME=" + filepath.Join(m.Dir, "state")}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "XDG_") && !strings.HasPrefix(e, "MIDPLANE_") {
			env = append(env, e)
		}
	}
	return env
}

// Start starts the program with args and does not wait for it. It ends with
// this process at the latest.
func (m *Machine) Start(name string, args ...string) (*Process, error) {
	return m.start(name, m.Bin, args...)
}

// StartShell starts a command line in which the program is called midplane.
func (m *Machine) StartShell(name, line string) (*Process, error) {
	return m.start(name, "sh", "-c", m.shell("exec "+line))
}

// Shell runs a command line in which the program is called midplane, in the machine's
// folder.
func (m *Machine) Shell(ctx context.Context, line string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", m.shell(line))
	cmd.Env, cmd.Dir = m.env(), m.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", line, err, bytes.TrimSpace(out))
	}
	return out, nil
}

// shell makes a script of a line.
func (m *Machine) shell(line string) string {
	return fmt.Sprintf("PATH=%q:$PATH; export PATH; %s", filepath.Dir(m.Bin), line)
}

func (m *Machine) start(name, bin string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(m.Dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(bin, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = m.env(), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	m.mu.Lock()
	m.running[name] = p
	m.mu.Unlock()
	return p, nil
}

// Kill ends a process at once, as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// Stop asks a process to end and kills it after ten seconds.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Ended reports whether the process is gone, by itself or not.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits until a process has ended by itself, and returns how.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Pid is the id of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Process returns a running process by its name, nil when there is none.
func (m *Machine) Process(name string) *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running[name]
}

// Signal sends a signal to a process by its name.
func (m *Machine) Signal(name string, s syscall.Signal) error {
	p := m.Process(name)
	if p == nil {
		return fault.New(fault.NotFound, "no process %s runs", name)
	}
	return p.Signal(s)
}

// StopAll stops everything that Start started.
func (m *Machine) StopAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range m.running {
		wg.Go(p.Stop)
	}
	wg.Wait()
}

// Run runs one command to its end and returns its standard output. A failure
// holds the exit code and what it wrote to standard error.
func (m *Machine) Run(ctx context.Context, args ...string) ([]byte, error) {
	return m.RunWith(ctx, "", args...)
}

// RunWith is Run with something to read from standard input.
func (m *Machine) RunWith(ctx context.Context, input string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, m.Bin, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = m.env(), strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("midplane %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// Get decodes what "get KIND -o json" prints.
func (m *Machine) Get(ctx context.Context, into any, kind string, args ...string) error {
	out, err := m.Run(ctx, append([]string{"get", kind, "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// Status is what "status -o json" prints.
type Status struct {
	Cluster  api.ClusterStatus `json:"cluster"`
	Problems []api.Problem     `json:"problems"`
}

// StatusOf asks for the status.
func StatusOf(ctx context.Context, m *Machine) (s Status, err error) {
	out, err := m.Run(ctx, "status", "-o", "json")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, err
	}
	if len(s.Cluster.Nodes) == 0 {
		return s, fault.New(fault.Other, "the status names no node: %s", out)
	}
	return s, nil
}

// Log returns the end of a process' output.
func (m *Machine) Log(name string) string {
	data, _ := os.ReadFile(filepath.Join(m.Dir, name+".log"))
	return string(data[max(0, len(data)-4000):])
}

// Deployment is three nodes and a primary as processes of their own, with TLS.
type Deployment struct {
	*Machine
	Folder string
	deployment.Summary
	ports ports.Reserved // until the test's process ends
}

// NewDeployment makes a deployment folder for three nodes on loopback and
// saves the admin's context.
func NewDeployment(ctx context.Context, m *Machine) (*Deployment, error) {
	d := &Deployment{Machine: m, Folder: filepath.Join(m.Dir, "deployment")}
	args := []string{"init", "--dir", d.Folder, "--save-context"}
	ports, err := d.ports.Reserve(6)
	if err != nil {
		return nil, err
	}
	for i := range 3 {
		args = append(args, "--node", fmt.Sprintf("n%d=127.0.0.1:%d:%d", i+1, ports[i], ports[i+3]))
	}
	if _, err := m.Run(ctx, args...); err != nil {
		return nil, err
	}
	d.Summary, err = deployment.Read(d.Folder)
	return d, err
}

// StartNode starts one node, with more flags than it needs if there are.
func (d *Deployment) StartNode(name string, flags ...string) (*Process, error) {
	args := []string{"node", "--dir", deployment.NodeDir(d.Folder, name), "--data", filepath.Join(d.Dir, "data-"+name), "--http", "127.0.0.1:0"}
	return d.Start(name, append(args, flags...)...)
}

// StartPrimary starts the primary, with more flags than it needs if there are.
func (d *Deployment) StartPrimary(flags ...string) (*Process, error) {
	args := []string{"primary", "--deployment", d.Folder, "--data", filepath.Join(d.Dir, "data-primary"), "--http", "127.0.0.1:0"}
	return d.Start("primary", append(args, flags...)...)
}

// CA returns the certificate that clients trust.
func (d *Deployment) CA() string { return deployment.CAFile(d.Folder) }

// Connect connects to all nodes with a .creds file.
func (d *Deployment) Connect(creds, user string, opts ...nats.Option) (*nats.Conn, error) {
	return bus.Connect(bus.Config{Servers: d.Servers, User: user, Name: user, CredsFile: creds, CAFile: d.CA(), MaxWait: 20 * time.Second, Options: opts}, telemetry.Nop())
}

// Up starts everything and waits until the cluster answers.
func (d *Deployment) Up(ctx context.Context) error {
	for _, n := range d.Nodes {
		if _, err := d.StartNode(n); err != nil {
			return err
		}
	}
	if _, err := d.StartPrimary(); err != nil {
		return err
	}
	return d.Await(ctx, func(ctx context.Context) error {
		_, err := d.Run(ctx, "get", "tenants", "-o", "json")
		return err
	})
}

// Await repeats f until it succeeds; the last error when ctx ends.
func (m *Machine) Await(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Kill ends a process at once.
func (m *Machine) Kill(name string) {
	if p := m.forget(name); p != nil {
		p.Kill()
	}
}

// Stop asks a process to end, as Process.Stop does.
func (m *Machine) Stop(name string) {
	if p := m.forget(name); p != nil {
		p.Stop()
	}
}

func (m *Machine) forget(name string) *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.running[name]
	delete(m.running, name)
	return p
}

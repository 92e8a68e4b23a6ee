//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestContainers runs the story with docker-compose.yml as it is.
func TestContainers(t *testing.T) {
	tell(t, newContainers(t))
}

// containers is a docker-compose project of its own.
type containers struct {
	root, dir, project, image, url string
	env                            []string
	viewer                         string // token for the page
}

func newContainers(t *testing.T) *containers {
	needs(t, "docker", "on Debian, apt-get install docker.io docker-compose")
	needs(t, "docker-compose", "on Debian, apt-get install docker-compose")
	c := &containers{root: repo(t), dir: t.TempDir(), project: fmt.Sprintf("midplane-e2e-%d", os.Getpid())}
	if _, err := try(20*time.Second, c.root, nil, "docker", "version"); err != nil {
		t.Fatalf("docker is there, but its daemon does not answer (is it running, and may this user ask it?): %v", err)
	}
	c.image = "midplane:" + c.project
	began := time.Now()
	run(t, 8*time.Minute, c.root, nil, filepath.Join(c.root, "deploy", "image.sh"), c.image)
	t.Logf("image built in %s", time.Since(began).Round(time.Second))
	ports := freePorts(t, 4)
	port := ports[0]
	c.url = "http://127.0.0.1:" + strconv.Itoa(port)
	c.env = []string{"COMPOSE_PROJECT_NAME=" + c.project, "MIDPLANE_IMAGE=" + c.image, "MIDPLANE_HTTP_PORT=" + strconv.Itoa(port),
		"MIDPLANE_N1_PORT=" + strconv.Itoa(ports[1]), "MIDPLANE_N2_PORT=" + strconv.Itoa(ports[2]), "MIDPLANE_N3_PORT=" + strconv.Itoa(ports[3])}
	t.Cleanup(func() { c.remove(t) })
	c.compose(t, time.Minute, "config", "--quiet")
	return c
}

// remove takes everything away, after a failure too.
func (c *containers) remove(t *testing.T) {
	if t.Failed() {
		for _, s := range []string{"init", "n1", "n2", "n3", "primary", "setup-apply", "setup-acme", "setup-globex", "acme-syd-01", "globex-hq-01"} {
			out, err := try(time.Minute, c.root, c.env, "docker-compose", "logs", "--no-color", "--tail", "60", s)
			t.Logf("log of %s (%v):\n%s", s, err, out)
		}
	}
	if _, err := try(2*time.Minute, c.root, c.env, "docker-compose", "down", "--volumes", "--remove-orphans", "--timeout", "5"); err != nil {
		t.Errorf("clean up: %v", err)
	}
	if _, err := try(time.Minute, c.root, nil, "docker", "image", "rm", "--force", c.image); err != nil {
		t.Errorf("clean up: %v", err)
	}
}

func (c *containers) compose(t *testing.T, within time.Duration, args ...string) string {
	t.Helper()
	return run(t, within, c.root, c.env, "docker-compose", args...)
}

// id returns the container of a service, also of one that has ended.
func (c *containers) id(service string) (string, error) {
	out, err := try(20*time.Second, c.root, nil, "docker", "ps", "--all", "--quiet",
		"--filter", "label=com.docker.compose.project="+c.project,
		"--filter", "label=com.docker.compose.oneoff=False",
		"--filter", "label=com.docker.compose.service="+service)
	if id := strings.Fields(out); err == nil && len(id) == 1 {
		return id[0], nil
	}
	return "", fmt.Errorf("not one container of %s: %q %v", service, out, err)
}

func (c *containers) up(t *testing.T) {
	c.compose(t, 3*time.Minute, "up", "-d")
	if c.viewer == "" {
		c.viewer = newToken(t, c)
	}
}

func (c *containers) down(t *testing.T) { c.compose(t, 2*time.Minute, "down") }

func (c *containers) kill(t *testing.T, node string) {
	id, err := c.id(node)
	if err != nil {
		t.Fatal(err)
	}
	run(t, 20*time.Second, c.root, nil, "docker", "kill", "--signal", "KILL", id)
}

func (c *containers) start(t *testing.T, node string) {
	c.compose(t, time.Minute, "start", node)
}

func (c *containers) page() string { return c.url }

func (c *containers) token() string { return c.viewer }

func (c *containers) data() string { return "/data" }

func (c *containers) servers() []string {
	return []string{"tls://n1:4222", "tls://n2:4222", "tls://n3:4222"}
}

// dial reaches the nodes by their names, as a container on the tenant's network
// does: the certificates are for these names.
func (c *containers) dial(tenant string) []nats.Option {
	return []nats.Option{nats.SkipHostLookup(), nats.SetCustomDialer(edge{c, c.project + "_edge-" + tenant})}
}

// edge dials containers by name on one of their networks.
type edge struct {
	c       *containers
	network string
}

// Dial implements nats.CustomDialer.
func (e edge) Dial(network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	id, err := e.c.id(host)
	if err != nil {
		return nil, err
	}
	ip, err := try(10*time.Second, "", nil, "docker", "inspect", "--format", fmt.Sprintf("{{(index .NetworkSettings.Networks %q).IPAddress}}", e.network), id)
	if err != nil {
		return nil, err
	}
	return net.DialTimeout(network, net.JoinHostPort(strings.TrimSpace(ip), port), 2*time.Second)
}

func (c *containers) midplane(t *testing.T, args ...string) string {
	t.Helper()
	return c.compose(t, time.Minute, append([]string{"exec", "-T", "primary", "/midplane"}, args...)...)
}

func (c *containers) user(t *testing.T, tenant, role, name string) string {
	c.compose(t, time.Minute, "run", "--rm", "--no-deps", "-T", "setup-"+tenant,
		"user", "create", "--tenant", tenant, "--role", role, name, "--out", "/creds/"+name+".creds")
	return c.copyCreds(t, tenant, name)
}

func (c *containers) poller(t *testing.T, tenant string) string {
	return c.copyCreds(t, tenant, pollers[tenant])
}

// copyCreds copies a file out of the volume that a tenant's poller has.
func (c *containers) copyCreds(t *testing.T, tenant, name string) string {
	t.Helper()
	id, err := c.id(tenant + "-" + pollers[tenant])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.dir, tenant+"-"+name+".creds")
	run(t, 20*time.Second, "", nil, "docker", "cp", id+":/creds/"+name+".creds", path)
	return path
}

func (c *containers) ca(t *testing.T) string {
	t.Helper()
	id, err := c.id("acme-syd-01")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.dir, "ca.crt")
	run(t, 20*time.Second, "", nil, "docker", "cp", id+":/ca/ca.crt", path)
	return path
}

// apart checks what the containers' networks and volumes give a poller.
func (c *containers) apart(t *testing.T) {
	for tenant, poller := range pollers {
		id, err := c.id(tenant + "-" + poller)
		if err != nil {
			t.Fatal(err)
		}
		networks := strings.Fields(run(t, 20*time.Second, "", nil, "docker", "inspect", "--format", "{{range $n, $_ := .NetworkSettings.Networks}}{{$n}} {{end}}", id))
		if want := []string{c.project + "_edge-" + tenant}; !slices.Equal(networks, want) {
			t.Errorf("the poller of %s is on %v, want %v", tenant, networks, want)
		}
		volumes := strings.Fields(run(t, 20*time.Second, "", nil, "docker", "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", id))
		slices.Sort(volumes)
		want := []string{c.project + "_" + tenant + "-" + poller + "-data", c.project + "_" + tenant + "-creds", c.project + "_ca"}
		slices.Sort(want)
		if !slices.Equal(volumes, want) {
			t.Errorf("the poller of %s has %v, want %v", tenant, volumes, want)
		}
		// A tenant's network has its poller and the nodes.
		members := strings.Fields(run(t, 20*time.Second, "", nil, "docker", "network", "inspect", "--format", "{{range .Containers}}{{.Name}} {{end}}", c.project+"_edge-"+tenant))
		if len(members) != 4 || !slices.ContainsFunc(members, func(m string) bool { return strings.Contains(m, tenant+"-"+poller) }) {
			t.Errorf("on the network of %s are %v, want its poller and three nodes", tenant, members)
		}
	}
}

// freePorts returns ports of loopback without a listener at this moment.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var out []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out
}

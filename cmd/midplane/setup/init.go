package setup

import (
	"cmp"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/fault"
	"midplane/platform/deployment"
)

type initFlags struct {
	Dir         string        `config:"dir"`
	Cluster     string        `config:"cluster"`
	Nodes       []string      `config:"node"`
	Primary     string        `config:"primary"`
	Admin       string        `config:"admin"`
	SaveContext bool          `config:"save-context"`
	ContextName string        `config:"context-name"`
	Encrypt     bool          `config:"encrypt-at-rest"`
	TTL         time.Duration `config:"ttl"`
}

// NewInit is the command "init".
func NewInit(sh *shell.Shell) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init --dir DIR",
		Short: "Make a deployment folder: keys, certificates, one configuration per node",
		Long: `Makes everything that a deployment begins with:

  nodes/NAME/           one node's configuration, keys and certificates; give
                        each node its own folder only
  primary/              credentials of the primary: core, query and admin
  admin/                the first admin's credentials, for a year (--ttl)
  tls/ca.crt            the CA that clients trust
  offline/              the operator's identity key and the keys of the CAs:
                        the running system does not need them. Take them away.

Clients speak TLS 1.3, nodes among each other mutual TLS under a CA of their
own. A folder that is complete is left as it is.

A node is NAME=HOST[:PORT[:ROUTEPORT]]. HOST is how clients and the other nodes
reach it; PORT is for clients (4222), ROUTEPORT for the other nodes (6222). It
listens on all addresses of its machine, or, when HOST is a loopback address, on
that only: so three nodes can run on one machine.`,
		Example: `  midplane init --dir deployment --node n1=10.0.0.1 --node n2=10.0.0.2 --node n3=10.0.0.3
  midplane node --dir deployment/nodes/n1 --data /var/lib/midplane/n1`,
		Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sh.Settings.Decode(&f); err != nil {
				return err
			}
			return initDeployment(sh.Out, cmd, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Dir, "dir", "", "folder to make (required)")
	fl.StringVar(&f.Cluster, "cluster", "midplane", "name of the cluster; clients see it before they log in")
	fl.StringSliceVar(&f.Nodes, "node", []string{"n1=n1", "n2=n2", "n3=n3"}, "node, NAME=HOST[:PORT[:ROUTEPORT]]; once for each")
	fl.StringVar(&f.Primary, "primary", "primary-1", "name of the primary")
	fl.StringVar(&f.Admin, "admin", "admin", "name of the first admin")
	fl.DurationVar(&f.TTL, "ttl", 365*24*time.Hour, "how long the first admin's credentials live; before that, make the next: midplane user create --role admin")
	fl.BoolVar(&f.Encrypt, "encrypt-at-rest", false, "give each node a key (store.key) with which it encrypts what it stores")
	fl.BoolVar(&f.SaveContext, "save-context", false, "also save the first admin as NATS context midplane, or midplane-2 and so on when that is another deployment's (it is not selected)")
	fl.StringVar(&f.ContextName, "context-name", "", "save it under this name instead")
	return cmd
}

func initDeployment(out *output.Output, cmd *cobra.Command, f initFlags) error {
	if f.Dir == "" {
		return shell.Usage(cmd, "--dir is missing")
	}
	dir, err := filepath.Abs(f.Dir)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--dir")
	}
	if f.TTL < time.Minute {
		return shell.Usage(cmd, "--ttl %s is less than a minute", f.TTL)
	}
	plan := deployment.Plan{TTL: f.TTL, Name: f.Cluster, Primary: f.Primary, Admin: f.Admin, TLS: true, EncryptAtRest: f.Encrypt}
	for _, s := range f.Nodes {
		n, err := nodePlan(s)
		if err != nil {
			return err
		}
		plan.Nodes = append(plan.Nodes, n)
	}
	own := connect.Context{Name: cmp.Or(f.ContextName, connect.DefaultContext), Chosen: f.ContextName != "", Creds: deployment.AdminCreds(dir, f.Admin)}
	f.SaveContext = f.SaveContext || own.Chosen
	if f.SaveContext {
		if _, err := own.Place(); err != nil {
			return err // before anything is made
		}
	}
	made, err := deployment.Init(dir, plan)
	if err != nil {
		return err
	}
	sum, err := deployment.Read(dir)
	if err != nil {
		return err
	}
	saved := ""
	if f.SaveContext {
		own.Servers, own.Creds, own.CA = strings.Join(sum.Servers, ","), deployment.AdminCreds(dir, sum.Admin), deployment.CAFile(dir)
		own.User, own.Description = sum.Admin, "Midplane cluster "+sum.Name
		if saved, err = own.Save(); err != nil {
			return err
		}
	}
	return printInit(out, sum, dir, made, saved)
}

func printInit(out *output.Output, sum deployment.Summary, dir string, made bool, saved string) error {
	if out.Machine() {
		return out.Print(struct {
			deployment.Summary
			Dir     string `json:"dir"`
			Made    bool   `json:"made"`
			Context string `json:"context,omitempty"`
		}{sum, dir, made, saved})
	}
	if saved != "" {
		defer out.Say("NATS context %s saved: midplane status%s", saved, connect.FlagFor(saved))
	}
	if !made {
		out.Say("%s is a deployment folder already; nothing was changed", dir)
		return nil
	}
	out.Say("made %s", dir)
	for _, n := range sum.Nodes {
		out.Say("  node %s      midplane node --dir %s --data DIR", n, deployment.NodeDir(dir, n))
	}
	out.Say("  primary      midplane primary --deployment %s --data DIR", dir)
	out.Say("  admin        %s", deployment.AdminCreds(dir, sum.Admin))
	out.Say("Take %s away: the running system does not need it.", filepath.Join(dir, "offline"))
	return nil
}

// hostName is what a machine can be called; a wrong one would only be found
// when certificates are made out to it.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)

// nodePlan reads NAME=HOST[:PORT[:ROUTEPORT]]. A node that others reach by a
// loopback address listens there only, any other one on all addresses.
func nodePlan(s string) (deployment.NodePlan, error) {
	wrong := func(why string) (deployment.NodePlan, error) {
		return deployment.NodePlan{}, fault.WithHint(fault.New(fault.Invalid, "--node %q %s", s, why),
			"NAME=HOST[:PORT[:ROUTEPORT]], for instance n1=10.0.0.1, n1=10.0.0.1:4222:6222 or n1=[fd00::1]:4222")
	}
	name, addr, ok := strings.Cut(s, "=")
	if !ok || name == "" || addr == "" {
		return wrong("is not a name and a host")
	}
	host, ports := addr, ""
	if inside, rest, ok := strings.Cut(strings.TrimPrefix(addr, "["), "]"); ok && addr[0] == '[' {
		host, ports = inside, rest
		if ports != "" && ports[0] != ':' {
			return wrong("has something other than a port behind the address")
		}
		ports = strings.TrimPrefix(ports, ":")
	} else if net.ParseIP(addr) == nil {
		host, ports, _ = strings.Cut(addr, ":")
	}
	client, route := "4222", "6222"
	if ports != "" {
		given := strings.Split(ports, ":")
		if len(given) > 2 {
			return wrong("has more than two ports; an IPv6 address goes in brackets")
		}
		for i, p := range given {
			if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
				return wrong("has a port that is not a number from 1 to 65535")
			}
			*[]*string{&client, &route}[i] = p
		}
	}
	if host == "" {
		return wrong("has no host")
	}
	if net.ParseIP(host) == nil && !hostName.MatchString(host) {
		return wrong("has a host that is neither an address nor a name")
	}
	listen := listenHost(host)
	return deployment.NodePlan{
		Name: name, Client: net.JoinHostPort(listen, client), Route: net.JoinHostPort(listen, route),
		Advertise: net.JoinHostPort(host, client), Peer: net.JoinHostPort(host, route),
	}, nil
}

// listenHost is where a node listens that others reach as host.
func listenHost(host string) string {
	ip := net.ParseIP(host)
	switch {
	case host == "localhost":
		return "127.0.0.1"
	case ip != nil && ip.IsLoopback():
		return host
	}
	return "0.0.0.0" // IPv6 too
}

// Package deployment makes and reads the folder that a deployment is made of:
// the operator and the accounts it begins with, a CA for clients and one for
// routes, one folder per node, the primary's and the first admin's
// credentials. Making it is the only time all keys are in one place; what the
// running system needs goes into the nodes' folders, and the operator's
// identity key into offline/, to be taken away. It writes files and opens no
// connection.
package deployment

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// Plan is what to make.
type Plan struct {
	Name    string // of the cluster and the operator; neutral, since clients see it before they log in
	Nodes   []NodePlan
	Primary string        // its name
	Admin   string        // name of the first admin
	TTL     time.Duration // life of the first admin's credentials; 0: no end
	TLS     bool          // off only for nodes that listen on loopback
	// EncryptAtRest gives each node a key of its own, with which its store is
	// encrypted.
	EncryptAtRest bool
}

// NodePlan is one node: its name and addresses.
type NodePlan struct {
	Name      string
	Client    string // host:port to listen on for clients
	Route     string // host:port to listen on for the other nodes
	Advertise string // host:port at which clients reach it; "" is Client
	Peer      string // host:port at which the other nodes reach it; "" is Route
}

// NodeFile is what a node reads at start: nodes/<name>/node.json.
type NodeFile struct {
	Name      string   `json:"name"`
	Cluster   string   `json:"cluster"`
	Client    string   `json:"client"`
	Route     string   `json:"route"`
	Advertise string   `json:"advertise"` // URL for clients
	Peer      string   `json:"peer"`      // host:port at which the other nodes reach it
	Peers     []string `json:"peers"`     // routes of all nodes, this one too: the server counts them
	Clients   []string `json:"clients"`   // client URLs of the others
	Replicas  int      `json:"replicas"`
	TLS       bool     `json:"tls"`
	System    string   `json:"system"`  // public key of SYS
	Control   string   `json:"control"` // public key of CONTROL
	// EncryptAtRest: the store is encrypted with the key in store.key.
	EncryptAtRest bool `json:"encryptAtRest,omitempty"`
}

// Layout of the folder.
const (
	fileOperator = "operator.jwt"
	fileIdentity = "offline/operator.nk"
	fileMaster   = "master.key"
	fileSecrets  = "secrets.json"
	fileNode     = "node.json"
	fileDone     = "deployment.json"

	// EnvMaster overrides the master key's file.
	EnvMaster = "MIDPLANE_MASTER_KEY"
)

// CAFile returns the certificate that clients trust.
func CAFile(dir string) string { return filepath.Join(dir, "tls", "ca.crt") }

// NodeDir returns a node's folder.
func NodeDir(dir, name string) string { return filepath.Join(dir, "nodes", name) }

// AdminCreds returns the first admin's credentials.
func AdminCreds(dir, name string) string { return filepath.Join(dir, "admin", name+".creds") }

// PrimaryCreds returns the credentials of a primary for one role of CONTROL:
// core, query or admin.
func PrimaryCreds(dir string, role account.Role) string {
	return filepath.Join(dir, "primary", string(role)+".creds")
}

// Summary is deployment.json: what was made, without a secret. It is written
// last, so that a folder without it is half-made.
type Summary struct {
	Name    string   `json:"name"`
	Admin   string   `json:"admin"`
	Primary string   `json:"primary"`
	Nodes   []string `json:"nodes"`
	Servers []string `json:"servers"` // client URLs
	TLS     bool     `json:"tls"`
}

// Read returns the summary of a deployment folder; NotFound when there is none.
func Read(dir string) (Summary, error) {
	var s Summary
	err := readJSON(filepath.Join(dir, fileDone), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fault.WithHint(fault.New(fault.NotFound, "%s is not a deployment folder", dir), "make one with: midplane init --dir %s", dir)
	}
	return s, err
}

// Init makes the folder. One that is complete is left as it is (made is
// false); one that is half-made, by an earlier try that was cut off, is made again.
func Init(dir string, p Plan) (made bool, err error) {
	if _, err := Read(dir); err == nil {
		return false, nil
	} else if !fault.Is(err, fault.NotFound) {
		return false, err
	}
	if err := p.check(); err != nil {
		return false, err
	}
	if err := empty(dir); err != nil {
		return false, err
	}
	w := &writer{dir: dir}
	if err := p.write(w); err != nil {
		return false, err
	}
	return true, nil
}

func (p *Plan) check() error {
	if len(p.Nodes) != 1 && len(p.Nodes) != 3 && len(p.Nodes) != 5 {
		return fault.New(fault.Invalid, "%d nodes; a cluster has 3 or 5, or 1 for trying out", len(p.Nodes))
	}
	for what, name := range map[string]string{"cluster": p.Name, "primary": p.Primary, "admin": p.Admin} {
		if err := event.CheckName(what, name); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if err := event.CheckName("node", n.Name); err != nil {
			return err
		}
		if seen[n.Name] {
			return fault.New(fault.Invalid, "two nodes are called %s", n.Name)
		}
		seen[n.Name] = true
		if n.Advertise == "" {
			n.Advertise = n.Client
		}
		if n.Peer == "" {
			n.Peer = n.Route
		}
	}
	return nil
}

// write makes everything; deployment.json comes last.
func (p *Plan) write(w *writer) error {
	sys, err := account.NewKeys(account.SystemRoles)
	if err != nil {
		return err
	}
	ctl, err := account.NewKeys(account.ControlRoles)
	if err != nil {
		return err
	}
	enrol, err := account.NewKeys(account.EnrolRoles)
	if err != nil {
		return err
	}
	op, err := account.NewOperator(p.Name, sys.Public)
	if err != nil {
		return err
	}
	signer, err := account.NewSigner(op.Signing)
	if err != nil {
		return err
	}
	secrets := Secrets{OperatorSigning: op.Signing, System: sys, Control: ctl, Enrol: enrol}
	accounts, err := hubs(signer, secrets)
	if err != nil {
		return err
	}
	var cas *authorities
	if p.TLS {
		if cas, err = newAuthorities(p.Name); err != nil {
			return err
		}
		w.file("tls/ca.crt", cas.client.pem, 0o644)
		w.secret("offline/client-ca.key", cas.client.keyPEM)
		w.secret("offline/route-ca.key", cas.route.keyPEM)
	}
	w.file(fileOperator, []byte(op.JWT), 0o644)
	w.secret(fileIdentity, op.Identity)
	master := account.NewMasterKey()
	for i := range p.Nodes {
		if err := p.node(w, i, op.JWT, accounts, secrets, master, cas); err != nil {
			return err
		}
	}
	for _, u := range []struct {
		role account.Role
		name string
		path string
	}{
		{account.RoleAdmin, p.Admin, "admin/" + p.Admin + ".creds"},
		{account.RoleCore, p.Primary, "primary/core.creds"},
		{account.RoleQuery, p.Primary, "primary/query.creds"},
		{account.RoleAdmin, p.Primary, "primary/admin.creds"},
	} {
		var end time.Time // the primary's have none: it comes back by itself
		if u.path == "admin/"+p.Admin+".creds" && p.TTL > 0 {
			end = time.Now().Add(p.TTL)
		}
		creds, err := newCreds(ctl, u.role, u.name, end)
		if err != nil {
			return err
		}
		w.secret(u.path, creds)
	}
	w.json(fileDone, p.summary(), 0o644)
	return w.err
}

func (p *Plan) summary() Summary {
	s := Summary{Name: p.Name, Admin: p.Admin, Primary: p.Primary, TLS: p.TLS}
	for _, n := range p.Nodes {
		s.Nodes = append(s.Nodes, n.Name)
		s.Servers = append(s.Servers, p.url(n))
	}
	return s
}

func (p *Plan) url(n NodePlan) string {
	if p.TLS {
		return "tls://" + n.Advertise
	}
	return "nats://" + n.Advertise
}

func newCreds(keys account.Keys, role account.Role, name string, end time.Time) ([]byte, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return nil, err
	}
	token, err := account.IssueUser(keys, role, account.User{Name: name, Key: key, Expires: end})
	if err != nil {
		return nil, err
	}
	return account.FormatCreds(token, seed)
}

// node writes one node's folder.
func (p *Plan) node(w *writer, i int, operator string, accounts map[string]string, s Secrets, master string, cas *authorities) error {
	n := p.Nodes[i]
	dir := "nodes/" + n.Name + "/"
	f := NodeFile{Name: n.Name, Cluster: p.Name, Client: n.Client, Route: n.Route, Advertise: p.url(n), Peer: n.Peer, Replicas: min(len(p.Nodes), 3), TLS: p.TLS, EncryptAtRest: p.EncryptAtRest,
		System: s.System.Public, Control: s.Control.Public}
	if len(p.Nodes) == 1 {
		f.Route, f.Peer = "", ""
	}
	for j, other := range p.Nodes {
		f.Peers = append(f.Peers, other.Peer)
		if j != i {
			f.Clients = append(f.Clients, p.url(other))
		}
	}
	w.json(dir+fileNode, f, 0o644)
	w.file(dir+fileOperator, []byte(operator), 0o644)
	for key, token := range accounts {
		w.file(dir+"accounts/"+key+".jwt", []byte(token), 0o644)
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fault.Wrap(fault.Other, err, "encode the secrets")
	}
	w.secret(dir+fileSecrets, data)
	w.secret(dir+fileMaster, []byte(master+"\n"))
	if p.EncryptAtRest {
		w.secret(dir+fileStore, []byte(account.NewMasterKey()+"\n"))
	}
	if cas == nil {
		return nil
	}
	return cas.issue(w, dir+"tls/", n)
}

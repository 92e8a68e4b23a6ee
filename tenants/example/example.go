// Package example holds two tenants' files that watch only the machine they
// run on, so that a newcomer sees real data at once and has something to start
// from. It may import tenants and what is below it.
package example

import (
	"embed"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/tenants"
)

// FS holds the files: one YAML file per tenant, their schemas below schemas/.
//
//go:embed *.yaml schemas
var FS embed.FS

// The addresses in the files: where "midplane up" listens by default.
const (
	HTTPAddr = "127.0.0.1:8480"
	NATSAddr = "127.0.0.1:4222"
)

// Specs returns the example tenants. Their checks look at httpAddr (Midplane's
// HTTP address) and natsAddr (the first node's client port) instead of the
// addresses in the files; "" leaves those as they are. Both are host:port; a
// host that stands for all addresses becomes the loopback address.
func Specs(httpAddr, natsAddr string) ([]*tenants.Spec, error) {
	http, err := reachable(httpAddr, HTTPAddr)
	if err != nil {
		return nil, err
	}
	nats, err := reachable(natsAddr, NATSAddr)
	if err != nil {
		return nil, err
	}
	loaded, err := tenants.LoadFS(FS, "example", tenants.Options{})
	if err != nil {
		return nil, err
	}
	out := make([]*tenants.Spec, 0, len(loaded))
	for _, l := range loaded {
		readdress(l.Spec, http, nats)
		if err := l.Spec.Validate(tenants.Options{}); err != nil {
			return nil, err
		}
		out = append(out, l.Spec)
	}
	return out, nil
}

// reachable turns an address to listen on into one to ask.
func reachable(addr, def string) (string, error) {
	if addr == "" {
		addr = def
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fault.WithHint(fault.Wrap(fault.Invalid, err, "address %q", addr), "write it like %s", def)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// readdress points the checks of Midplane itself at where it really is.
func readdress(s *tenants.Spec, http, nats string) {
	natsHost, natsPort, _ := net.SplitHostPort(nats) // reachable built it
	_, defaultPort, _ := net.SplitHostPort(NATSAddr)
	for i := range s.Sites {
		for j := range s.Sites[i].Devices {
			d := &s.Sites[i].Devices[j]
			for _, c := range d.Checks {
				if url, ok := c.Params["url"]; ok {
					c.Params["url"] = strings.Replace(url, HTTPAddr, http, 1)
				}
				if c.Collector == "tcp" && c.Params["port"] == defaultPort {
					c.Params["port"], d.Address = natsPort, natsHost
				}
			}
		}
	}
}

// WriteTo writes the files into dir, which is made when it is not there. A
// file that exists already is a Conflict, and then nothing is written.
func WriteTo(dir string) error {
	files := map[string][]byte{}
	err := fs.WalkDir(FS, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return fault.Wrap(fault.Other, err, "look at %s", to)
			}
			return fault.WithHint(fault.New(fault.Conflict, "%s exists already", to), "choose an empty folder")
		}
		files[to], err = FS.ReadFile(name)
		return err
	})
	if err != nil {
		return err
	}
	for to, data := range files {
		if err := atomicfile.MakeDir(filepath.Dir(to), atomicfile.Mode(0o755)); err != nil {
			return fault.Wrap(fault.Other, err, "make the folder of %s", to)
		}
		if err := atomicfile.Write(to, data, atomicfile.Mode(0o644)); err != nil {
			return fault.Wrap(fault.Other, err, "write %s", to)
		}
	}
	return nil
}

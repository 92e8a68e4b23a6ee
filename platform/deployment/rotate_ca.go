package deployment

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
)

// A CA is rotated in three steps, and between them the operator carries the
// files to the nodes and to the clients. After every step those that trust only
// the old CA and those that trust only the new one can connect, since each is
// also signed by the other. Every step can be repeated, and one that was cut
// off is finished by repeating it.

// AddCA makes a new CA for clients and one for routes and adds them to what
// clients and nodes trust. Certificates stay as they are.
func AddCA(dir string) ([]Certificate, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{kindClient, kindRoute} {
		old, _, err := f.current(kind)
		if err != nil {
			return nil, err
		}
		next, err := f.next(kind)
		if err != nil {
			return nil, err
		}
		w := f.writer()
		if next == nil {
			if next, err = newAuthority(f.sum.Name + " " + kind + "s"); err != nil {
				return nil, err
			}
			// The certificate comes last: with it the CA counts as there.
			w.secret(nextFile(kind, ".key"), next.keyPEM)
			w.file(nextFile(kind, ".crt"), next.pem, 0o644)
		}
		for _, name := range f.bundles(kind) {
			w.file(name, append(bytes.Clone(old.pem), next.pem...), 0o644)
		}
		issued, err := f.issuedBy(kind, next)
		if err != nil {
			return nil, err
		}
		if !issued { // otherwise there is nothing to show to a client that has the new one only
			der, err := next.cross(old)
			if err != nil {
				return nil, err
			}
			if err := f.chain(w, kind, der); err != nil {
				return nil, err
			}
		}
		if w.err != nil {
			return nil, w.err
		}
	}
	return Certificates(dir)
}

// IssueFromNewCA gives every node certificates of the new CAs.
func IssueFromNewCA(dir string) ([]Certificate, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	w := f.writer()
	for _, kind := range []string{kindClient, kindRoute} {
		old, _, err := f.current(kind)
		if err != nil {
			return nil, err
		}
		next, err := f.next(kind)
		if err != nil {
			return nil, err
		}
		if err := f.trusted(kind, next); err != nil {
			return nil, err
		}
		ca, der, err := pair(old, next, true)
		if err != nil {
			return nil, err
		}
		if err := f.issue(w, kind, ca, der); err != nil {
			return nil, err
		}
	}
	return Certificates(dir)
}

// trusted refuses unless every bundle holds next.
func (f *folder) trusted(kind string, next *authority) error {
	if next == nil {
		return fault.WithHint(fault.New(fault.Conflict, "there is no new CA"), "begin with: midplane rotate ca add --dir %s", f.dir)
	}
	for _, name := range f.bundles(kind) {
		text, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			return fault.Wrap(fault.NotFound, err, "CA")
		}
		if !has(ders(text), next.cert) {
			return fault.WithHint(fault.New(fault.Conflict, "%s does not hold the new CA", name), "repeat: midplane rotate ca add --dir %s", f.dir)
		}
	}
	return nil
}

// RemoveOldCA takes the old CAs out of what clients and nodes trust. From then on
// those that have not got the new one are refused.
func RemoveOldCA(dir string) ([]Certificate, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	var nexts []*authority
	for _, kind := range []string{kindClient, kindRoute} {
		next, err := f.next(kind)
		if err != nil {
			return nil, err
		}
		nexts = append(nexts, next)
		if next == nil {
			continue // this kind was finished before
		}
		if issued, err := f.issuedBy(kind, next); err != nil {
			return nil, err
		} else if !issued {
			return nil, fault.WithHint(fault.New(fault.Conflict, "not every node has a certificate of the new CA"), "first: midplane rotate ca issue --dir %s", dir)
		}
	}
	if nexts[0] == nil && nexts[1] == nil {
		return nil, fault.WithHint(fault.New(fault.Conflict, "no CA is being rotated"), "begin with: midplane rotate ca add --dir %s", dir)
	}
	for i, kind := range []string{kindClient, kindRoute} {
		if nexts[i] == nil {
			continue
		}
		w := f.writer()
		for _, name := range f.bundles(kind) {
			w.file(name, nexts[i].pem, 0o644)
		}
		if err := f.chain(w, kind, nil); err != nil {
			return nil, err
		}
		w.secret(keyFile(kind), nexts[i].keyPEM)
		if w.err != nil {
			return nil, w.err
		}
		for _, ext := range []string{".key", ".crt"} { // the certificate last
			if err := os.Remove(filepath.Join(dir, nextFile(kind, ext))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fault.Wrap(fault.Other, err, "next CA")
			}
		}
	}
	return Certificates(dir)
}

// chain writes every node's certificate again, alone or with one more behind it.
func (f *folder) chain(w *writer, kind string, more []byte) error {
	certs, err := f.leaves(kind)
	if err != nil {
		return err
	}
	for i, c := range certs {
		text := pemCert(c.Raw)
		if more != nil {
			text = append(text, pemCert(more)...)
		}
		w.file(filepath.Join("nodes", f.nodes[i].Name, "tls", kind+".crt"), text, 0o644)
	}
	return w.err
}

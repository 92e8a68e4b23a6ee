package deployment_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"midplane/platform/deployment"
	"midplane/tenants/account"
)

// A folder that was made before there was ENROL: every node makes the same
// account from what it has, and CONTROL follows the program.
func TestFolderWithoutEnrol(t *testing.T) {
	dir := made(t)
	keys := map[string]bool{}
	for _, n := range []string{"n1", "n2", "n3"} {
		own := deployment.NodeDir(dir, n)
		var s deployment.Secrets
		data, err := os.ReadFile(filepath.Join(own, "secrets.json"))
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(own, "accounts", s.Enrol.Public+".jwt")); err != nil {
			t.Fatal(err)
		}
		was := s.Enrol.Public
		s.Enrol = account.Keys{}
		if data, err = json.Marshal(s); err == nil {
			err = os.WriteFile(filepath.Join(own, "secrets.json"), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		signer, err := account.NewSigner(s.OperatorSigning)
		if err != nil {
			t.Fatal(err)
		}
		old, err := signer.Control(s.Control, 1<<20) // says something else than this program
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(own, "accounts", s.Control.Public+".jwt"), []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, err := deployment.LoadNode(own)
		if err != nil {
			t.Fatal(err)
		}
		enrol := cfg.Secrets.Enrol.Public
		keys[enrol] = true
		if enrol == "" || enrol == was || cfg.Accounts[enrol] == "" {
			t.Errorf("node %s: ENROL is %q", n, enrol)
		}
		if account.Same(old, cfg.Accounts[s.Control.Public]) {
			t.Errorf("node %s: CONTROL is as it was", n)
		}
	}
	if len(keys) != 1 {
		t.Errorf("the nodes made %d different accounts", len(keys))
	}
}

// What a folder has is used as it is.
func TestFolderWithEnrol(t *testing.T) {
	own := deployment.NodeDir(made(t), "n1")
	cfg, err := deployment.LoadNode(own)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Accounts) != 3 {
		t.Errorf("%d accounts", len(cfg.Accounts))
	}
	for key, token := range cfg.Accounts {
		data, err := os.ReadFile(filepath.Join(own, "accounts", key+".jwt"))
		if err != nil || string(data) != token {
			t.Errorf("%s was signed again: %v", key, err)
		}
	}
}

// A client that has the CA's fingerprint only must be able to take the CA from
// the handshake.
func TestHandshakeShowsTheCA(t *testing.T) {
	dir, client, _ := lonely(t)
	c := dial(t, client)
	if _, err := readLine(c); err != nil { // INFO comes in plain text
		t.Fatal(err)
	}
	conn := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // only looked at
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	certs := conn.ConnectionState().PeerCertificates
	if len(certs) != 2 || !certs[1].IsCA || certs[0].CheckSignatureFrom(certs[1]) != nil {
		t.Fatalf("%d certificates", len(certs))
	}
	ours := x509.NewCertPool()
	ours.AddCert(certs[1])
	if !pool(t, deployment.CAFile(dir)).Equal(ours) {
		t.Error("not the deployment's CA")
	}
}

// readLine reads no byte beyond the line.
func readLine(r io.Reader) (line []byte, err error) {
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		if _, err := r.Read(b); err != nil || b[0] == '\n' {
			return line, err
		}
	}
}

package testcluster

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"midplane/fault"
	"midplane/platform/deployment"
	"midplane/tenants/account"
)

// keys are what the holder of a deployment's own keys can do.
type keys struct {
	dir     string // for .creds files
	folder  string // of a node
	running int    // nodes
	connect func(creds, user string, opts ...nats.Option) (*nats.Conn, error)
}

func (c *Cluster) keys() keys {
	return keys{dir: c.Dir, folder: deployment.NodeDir(c.Deployment(), c.Names()[0]), running: len(Running(c)), connect: c.Connect}
}

func (k keys) raw(ctx context.Context, tenant, accountKey string) (*Raw, error) {
	r := &Raw{User: rawUser, Account: accountKey, Creds: filepath.Join(k.dir, tenant+"-raw.creds")}
	was, token, err := k.openUp(ctx, accountKey, r.Creds)
	if err != nil {
		return nil, err
	}
	r.Close = func(ctx context.Context) error {
		secrets, err := k.secrets()
		if err != nil {
			return err
		}
		sys, err := k.system(secrets)
		if err != nil {
			return err
		}
		defer sys.Close()
		return k.push(ctx, sys, was)
	}
	r.Capability, err = capability(token)
	return r, err
}

// openUp adds the raw role to an account and writes a user's creds. It returns the
// account's JWT as it was and as it is now.
func (k keys) openUp(ctx context.Context, accountKey, creds string) (was, token string, err error) {
	secrets, err := k.secrets()
	if err != nil {
		return "", "", err
	}
	sys, err := k.system(secrets)
	if err != nil {
		return "", "", err
	}
	defer sys.Close()
	m, err := sys.RequestWithContext(ctx, "$SYS.REQ.ACCOUNT."+accountKey+".CLAIMS.LOOKUP", nil)
	if err != nil {
		return "", "", fault.Wrap(fault.Other, err, "look the account up")
	}
	role, err := nkeys.CreateAccount()
	if err != nil {
		return "", "", err
	}
	was = string(m.Data)
	if token, err = extend(was, role, secrets.OperatorSigning); err != nil {
		return "", "", err
	}
	if err := k.push(ctx, sys, token); err != nil {
		return "", "", err
	}
	return was, token, writeRawCreds(creds, accountKey, role)
}

func (k keys) secrets() (deployment.Secrets, error) {
	var s deployment.Secrets
	data, err := os.ReadFile(filepath.Join(k.folder, "secrets.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// system connects as a node does before its server runs.
func (k keys) system(s deployment.Secrets) (*nats.Conn, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return nil, err
	}
	token, err := account.IssueUser(s.System, account.RoleNode, account.User{Name: account.UserNode, Key: key})
	if err != nil {
		return nil, err
	}
	data, err := account.FormatCreds(token, seed)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(k.dir, "system.creds")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return nil, err
	}
	return k.connect(path, account.UserNode)
}

// push gives every node the JWT and waits for all answers.
func (k keys) push(ctx context.Context, sys *nats.Conn, token string) error {
	inbox := sys.NewRespInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	if err := sys.PublishRequest("$SYS.REQ.CLAIMS.UPDATE", inbox, []byte(token)); err != nil {
		return err
	}
	for range k.running {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		if strings.Contains(string(msg.Data), `"error"`) {
			return fault.New(fault.Other, "push refused: %s", msg.Data)
		}
	}
	return nil
}

package node

import (
	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
)

// Apply gives the server an account's JWT, unless it has a newer one, and
// reads back what the account really runs with. The registry is where the JWT
// comes from: every node applies it by itself, so that a lease lost in the
// middle of a push cannot put an old JWT over a new one. When it returns without
// an error the JWT survives a power cut, as every message that the account is
// going to acknowledge does.
func (n *Node) Apply(accountKey, token string) error {
	if err := n.accounts.keep(accountKey, token); err != nil {
		return fault.Wrap(fault.Other, err, "node %s: store the JWT of account %s", n.cfg.Name, accountKey)
	}
	if err := n.Runs(accountKey, token); err != nil {
		return err
	}
	n.recovery.applied(accountKey, token)
	return nil
}

// Runs reports an Unavailable error unless the server runs the account with
// exactly this JWT. Looking also makes the server load an account it has not
// used yet.
func (n *Node) Runs(accountKey, token string) error {
	srv := n.srv.Load()
	if srv == nil {
		return fault.New(fault.Unavailable, "node %s has not started", n.cfg.Name)
	}
	if _, err := srv.LookupAccount(accountKey); err != nil {
		return fault.Wrap(fault.Unavailable, err, "node %s: account %s", n.cfg.Name, accountKey)
	}
	info, err := srv.Accountz(&server.AccountzOptions{Account: accountKey})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "node %s: account %s", n.cfg.Name, accountKey)
	}
	if info.Account == nil || info.Account.Jwt != token {
		return fault.New(fault.Unavailable, "node %s runs account %s with another JWT", n.cfg.Name, accountKey)
	}
	return nil
}

// AccountJWT returns what the server runs an account with, "" when it has none.
func (n *Node) AccountJWT(accountKey string) string {
	srv := n.srv.Load()
	if srv == nil {
		return ""
	}
	info, err := srv.Accountz(&server.AccountzOptions{Account: accountKey})
	if err != nil || info.Account == nil {
		return ""
	}
	return info.Account.Jwt
}

// Interest reports whether there is a listener on subj in the account, anywhere
// in the cluster: a stream without a leader listens on nothing and would never answer.
func (n *Node) Interest(accountKey, subj string) bool {
	srv := n.srv.Load()
	if srv == nil {
		return false
	}
	acc, err := srv.LookupAccount(accountKey)
	return err == nil && acc.SubscriptionInterest(subj)
}

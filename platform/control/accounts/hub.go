package accounts

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"midplane/platform/registry"
	"midplane/tenants/account"
)

// HubServer is what a Hub asks its own server.
type HubServer interface {
	Server
	Apply(accountKey, token string) error
}

// Hub keeps CONTROL, as this node's server runs it, without the keys of admins
// that were revoked.
type Hub struct {
	Registry *registry.Registry
	Server   HubServer
	Signer   *account.Signer
	Control  account.Keys // of the CONTROL account
	Log      *slog.Logger

	revoked map[string]int64 // what the server runs with
}

// Run does so from the moment that the registry says so, until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	for {
		_, changed := h.Registry.Config.Revision()
		var again <-chan time.Time
		if !h.Bring() {
			again = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again:
		}
	}
}

// Bring brings CONTROL to what the registry says, and reports whether it did.
func (h *Hub) Bring() bool {
	want := map[string]int64{}
	for _, u := range h.Registry.View().Admins {
		if u.Live() || u.PublicKey == "" {
			continue
		}
		until := forEver
		if !u.Expires.IsZero() {
			until = u.Expires.Add(2 * leeway)
		}
		want[u.PublicKey] = until.Unix()
	}
	if maps.Equal(want, h.revoked) {
		return true
	}
	if err := h.apply(want); err != nil {
		h.Log.Warn("CONTROL still lets a revoked admin in", "error", err)
		return false
	}
	h.revoked = want
	return true
}

func (h *Hub) apply(revoked map[string]int64) error {
	after, _, err := account.IssuedAt(h.Server.AccountJWT(h.Control.Public))
	if err != nil {
		return err
	}
	token, err := h.Signer.ControlWithout(h.Control, registry.ControlStorage, revoked, after)
	if err != nil {
		return err
	}
	return h.Server.Apply(h.Control.Public, token)
}

package probe

import (
	"context"
	"log/slog"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/platform/registry"
	"midplane/tenants"
)

// keepEvery is how often the leading node looks whether the tenant is declared.
const keepEvery = 2 * time.Second

// Keeper declares the tenant in which nodes try their doors, for one term of leading.
// What follows from that is package reconcile's, as for every tenant.
type Keeper struct {
	Registry *registry.Registry
	Every    time.Duration // doors are tried; below 0: never, and there is no tenant
	Log      *slog.Logger
}

// Run declares the tenant as soon as every node knows what it is, until ctx ends.
func (k Keeper) Run(ctx context.Context) {
	if k.Every < 0 {
		return
	}
	for wait.For(ctx, min(k.Every, keepEvery)) == nil {
		if t := k.Registry.View().Tenants[event.ProbeTenant]; t != nil && t.Spec != nil {
			continue
		}
		if err := k.declare(ctx); err != nil && !fault.Is(err, fault.Conflict) && ctx.Err() == nil {
			k.Log.Debug("the tenant of probes is not declared, trying again", "error", err)
		}
	}
}

func (k Keeper) declare(ctx context.Context) error {
	if ok, err := registry.Probed(k.Registry); !ok {
		return err
	}
	spec, err := Spec()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = k.Registry.Specs.Put(ctx, spec, 0)
	return err
}

// Spec is the tenant: as small as one can be.
func Spec() (*tenants.Spec, error) {
	s := tenants.Spec{APIVersion: tenants.APIVersion, Kind: tenants.KindTenant, ID: event.ProbeTenant, Name: "nodes try their doors here"}
	s.Quota.Storage, s.Quota.Connections = tenants.MinStorage, 16
	data, err := s.JSON()
	if err != nil {
		return nil, err
	}
	return tenants.ParseStored(data) // with the defaults
}

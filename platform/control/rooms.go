package control

import (
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/platform/control/accounts"
	"midplane/platform/control/alarm"
	"midplane/platform/control/auditlog"
	"midplane/platform/control/canary"
	"midplane/platform/control/channel"
	"midplane/platform/control/connections"
	"midplane/platform/control/drain"
	"midplane/platform/control/lease"
	"midplane/platform/control/load"
	"midplane/platform/control/missing"
	"midplane/platform/control/primaries"
	"midplane/platform/control/probe"
	"midplane/platform/control/replicas"
	"midplane/platform/control/secrets"
	"midplane/platform/control/service"
	"midplane/platform/control/specs"
	"midplane/platform/control/status"
	"midplane/platform/control/upgrade"
	"midplane/platform/control/users"
	"midplane/platform/control/watchdog"
	"midplane/platform/registry"
	"midplane/telemetry"
)

// rooms are the parts of the control plane that every node has. What only the
// leading node has is made for each term; see lead.
type rooms struct {
	audit  *auditlog.Log
	alarms *alarm.Alarms

	system           *connections.System
	tokenConnections *connections.Tokens
	limiter          *connections.Limiter
	mover            *connections.Mover
	drain            drain.Room
	current          *status.Replicas

	accounts  *accounts.Accounts
	rotations *accounts.Rotations
	hub       *accounts.Hub

	users     *users.Users
	tokens    *users.Tokens
	enrolment *users.Enrolment

	upgrade   upgrade.Room
	specs     *specs.Specs
	secrets   *secrets.Secrets
	channel   *channel.Channel
	primaries *primaries.Primaries

	load     *load.Room
	missing  *missing.Room
	probe    *probe.Probe
	watchdog *watchdog.Watchdog
	replicas *replicas.Room
	status   *status.Status
	presence *status.Presence
	metrics  *status.Metrics
	admin    *service.Admin
	leaks    metric.Int64Counter // markers of the canary in the wrong tenant
}

// newRooms makes the rooms, each with what it needs of cfg and of those before it.
func newRooms(cfg Config, tel telemetry.Telemetry) (r rooms, err error) {
	r.upgrade = upgrade.Room{
		Registry: cfg.Registry, Mine: upgrade.Mine(cfg.Version), PollerSilent: cfg.Pace.PollerSilent, PrimarySilent: cfg.Pace.PrimarySilent,
	}
	r.audit = auditlog.New(cfg.Node, cfg.Audit, tel.Log)
	r.alarms = alarm.New(cfg.Dialer, tel.Log)

	r.system = connections.NewSystem(cfg.Dialer, cfg.SystemKeys)
	r.tokenConnections = connections.NewTokens(connections.TokenConfig{
		Node: cfg.Node, System: r.system, Server: cfg.Server, Audit: r.audit, Enrol: cfg.Enrol.Public, Log: tel.Log,
	})
	r.limiter, err = connections.NewLimiter(connections.LimiterConfig{
		Node: cfg.Node, Registry: cfg.Registry, System: r.system, Server: cfg.Server, Doors: cfg.Doors, Audit: r.audit, Alarms: r.alarms,
	}, tel)
	if err != nil {
		return r, err
	}

	r.current = status.NewReplicas(cfg.Duties, cfg.Registry, cfg.Control.Public)
	r.drain = drain.Room{Node: cfg.Node, Registry: cfg.Registry, Server: cfg.Duties, Log: tel.Log}
	r.mover = connections.NewMover(connections.MoverConfig{
		Server: cfg.Server, Move: func(client uint64) error { return cfg.Duties.Move(client) }, Control: cfg.Control, Enrol: cfg.Enrol.Public, Log: tel.Log,
		Tenants: func() []string { return slices.Collect(maps.Keys(cfg.Registry.View().ByKey)) },
		Drained: func() bool { return r.drain.ClientsLeave(r.current.Leads()) },
	})

	r.accounts = accounts.New(accounts.Config{
		Registry: cfg.Registry, Signer: cfg.Signer, Control: cfg.Control.Public, System: cfg.System, Life: cfg.Pace.Life,
	})
	r.rotations = &accounts.Rotations{Registry: cfg.Registry, Accounts: r.accounts, Life: cfg.Pace.Life, Overlap: cfg.Pace.Overlap, Log: tel.Log}
	r.hub = &accounts.Hub{Registry: cfg.Registry, Server: cfg.Server, Signer: cfg.Signer, Control: cfg.Control, Log: tel.Log}

	r.tokens = &users.Tokens{Registry: cfg.Registry, Enrol: cfg.Enrol}
	r.users = users.New(users.Config{
		Registry: cfg.Registry, Accounts: r.accounts, Tokens: r.tokens, Life: cfg.Pace.Life,
		Admins: &users.Admins{Registry: cfg.Registry, Control: cfg.Control},
	})
	r.enrolment = &users.Enrolment{Registry: cfg.Registry, Users: r.users, Tokens: r.tokens, Life: cfg.Pace.Life, Origins: r.tokenConnections, Audit: r.audit}

	r.specs = &specs.Specs{Registry: cfg.Registry, Replicas: cfg.Replicas, Overcommit: cfg.Overcommit}
	r.secrets = secrets.New(secrets.Config{Registry: cfg.Registry, Dialer: cfg.Dialer, Log: tel.Log})
	r.channel = channel.New(channel.Config{Registry: cfg.Registry, Users: r.users, Secrets: r.secrets, Understands: r.upgrade.Mine})
	r.primaries = primaries.New(primaries.Config{Registry: cfg.Registry, Alarms: r.alarms, Dialer: cfg.Dialer, Life: cfg.Pace.Life, Log: tel.Log})

	r.load = load.New(load.Config{
		Node: cfg.Node, Registry: cfg.Registry, Dialer: cfg.Dialer, Control: cfg.Control, Doors: cfg.Doors, Server: cfg.Server, Connections: r.limiter,
	})
	r.replicas = replicas.New(replicas.Config{
		Node: cfg.Node, Registry: cfg.Registry, Dialer: cfg.Dialer, Control: cfg.Control, Own: cfg.Replicated, Duties: cfg.Duties, Log: tel.Log,
	})
	r.missing = &missing.Room{Registry: cfg.Registry, Replicas: r.replicas, Server: cfg.Server}
	if r.probe, err = probe.New(probe.Config{Node: cfg.Node, Registry: cfg.Registry, Dialer: cfg.Dialer, Every: cfg.Pace.Probe}, tel); err != nil {
		return r, err
	}
	r.watchdog = watchdog.New(watchdog.Config{
		Node: cfg.Node, Registry: cfg.Registry, Server: cfg.Server, Progress: cfg.Duties, Lagging: r.current.Lagging, Alarms: r.alarms, Audit: r.audit, Log: tel.Log,
		Leads: func() bool { return lease.Holder(cfg.Registry) == cfg.Node && registry.Stores(cfg.Registry, cfg.Node) },
	})
	r.status = status.New(status.Config{
		Loads: r.load, Replicas: r.replicas.Facts,
		Node: cfg.Node, Registry: cfg.Registry, Server: cfg.Server, Dialer: cfg.Dialer, Control: cfg.Control.Public, Started: time.Now(),
		PrimarySilent: cfg.Pace.PrimarySilent, PollerSilent: cfg.Pace.PollerSilent, Canary: cfg.Pace.Canary, Upgrade: r.upgrade.Look,
	})
	r.presence = status.NewPresence(status.PresenceConfig{
		Node: cfg.Node, Client: cfg.ClientURL, Understands: r.upgrade.Mine, Registry: cfg.Registry, Server: cfg.Server, Doors: cfg.Doors,
		Replicas: r.current, Clients: r.mover.Clients, Unrecorded: r.audit.Unrecorded, Certificates: cfg.Certificates, Probe: r.probe.Last, Stuck: r.watchdog.Stuck, Log: tel.Log,
	})
	r.metrics = &status.Metrics{Node: cfg.Node, Registry: cfg.Registry, Server: cfg.Server, Doors: cfg.Doors}

	origins := &connections.Origins{System: r.system, Registry: cfg.Registry, Control: cfg.Control.Public, Log: tel.Log}
	r.admin = &service.Admin{Registry: cfg.Registry, Log: r.audit, Origin: origins.Of, Tel: tel}
	r.leaks, err = canary.Leaks(tel.Meter)
	return r, err
}

package tenants

import (
	"fmt"
	"time"

	"midplane/event"
	"midplane/streams"
)

// Ranges of what a file may ask for.
const (
	MinStorage     Bytes = 16 << 20
	MaxStorage     Bytes = 64 << 40
	MaxConnections       = 100_000
	MaxMessageRate       = 1_000_000
	MinMessageSize Bytes = 1 << 10

	// A client that renews opens a connection before it closes the old one.
	MinConnectionsPerUser       = 2
	MaxConnectionsPerUser       = 1000
	MinSubscriptions            = 64 // the system's own connections need some, too
	MaxSubscriptions            = 100_000
	MaxConsumers                = 10_000
	MaxAckPending               = 1_000_000
	MinByteRate           Bytes = 1 << 10
	MaxByteRate           Bytes = 64 << 30

	MaxMessageSize Bytes = 960 << 10 // below the connection's limit of 1 MiB, with room for headers

	MinRetention = streams.DuplicateWindow // what is younger is never trimmed
	MaxRetention = 3660 * 24 * time.Hour
)

// Options are what a spec may refer to, as far as the caller knows.
type Options struct {
	Collectors []string // names of collectors; empty: any
	Stored     bool     // the spec is in the registry: rules that came after it was stored do not count
}

// Validate reports everything that is wrong with s, or nil. The error is
// Invalid; Mistakes takes it apart. Defaults must be filled in, as loading
// does. Values of secrets are never repeated.
func (s *Spec) Validate(opt Options) error {
	return join((&problems{s.check(opt)}).mistakes())
}

func (s *Spec) check(opt Options) []problem {
	p := &problems{}
	s.checkHead(p, opt)
	s.checkQuota(p)
	taken := takenNames(p, s.Sites)
	s.checkDevices(p, opt)
	siteChecker{p, opt, taken}.sites(s.Sites)
	subscriptionChecker{p, s.Sites, taken}.subscriptions(s.Subscriptions)
	s.checkSchemas(p)
	return p.list
}

func (s *Spec) checkHead(p *problems, opt Options) {
	if s.APIVersion != APIVersion {
		p.add("apiVersion", "write: apiVersion: "+APIVersion, "apiVersion %q is not known", clip(s.APIVersion))
	}
	if s.Kind != KindTenant {
		p.add("kind", "write: kind: "+KindTenant, "kind %q is not known", clip(s.Kind))
	}
	if s.ID == "" {
		p.add("id", "add the tenant's short name, like: id: acme", "the tenant has no id")
	} else if !opt.Stored || !s.ID.OfSystem() { // the system stores its own
		p.addErr("id", event.CheckUserName("tenant", string(s.ID)))
	}
	p.text("name", s.Name, 120)
	p.text("contact", s.Contact, 200)
	p.oneOf("policy", s.Policy, PolicyEnforce, PolicyWarn)
}

func (s *Spec) checkDevices(p *problems, opt Options) {
	n := 0
	for _, site := range s.Sites {
		n += len(site.Devices)
	}
	if n > MaxDevices && !opt.Stored {
		p.add("sites", "declare some of its sites as another tenant", "the tenant has %d devices, at most %d are allowed", n, MaxDevices)
	}
}

func (s *Spec) checkQuota(p *problems) {
	q, r := s.Quota, s.Retention
	inRange(p, "quota.storage", q.Storage, MinStorage, MaxStorage)
	inRange(p, "quota.connections", q.Connections, 1, MaxConnections)
	inRange(p, "quota.messageRate", q.MessageRate, 1, MaxMessageRate)
	inRange(p, "quota.messageSize", q.MessageSize, MinMessageSize, MaxMessageSize)
	inRange(p, "quota.connectionsPerUser", q.ConnectionsPerUser, MinConnectionsPerUser, MaxConnectionsPerUser)
	inRange(p, "quota.subscriptions", q.Subscriptions, MinSubscriptions, MaxSubscriptions)
	inRange(p, "quota.consumers", q.Consumers, 1, MaxConsumers)
	inRange(p, "quota.maxAckPending", q.MaxAckPending, 1, MaxAckPending)
	// Those that follow from another number are as wrong as it is; it is named once.
	if q.MessageRate > 0 {
		inRange(p, "quota.byteRate", q.ByteRate, MinByteRate, MaxByteRate)
		inRange(p, "quota.producerMessageRate", q.ProducerMessageRate, 1, MaxMessageRate)
		inRange(p, "quota.producerByteRate", q.ProducerByteRate, MinByteRate, MaxByteRate)
	}
	inRange(p, "retention.events", r.Events.Std(), MinRetention, MaxRetention)
	inRange(p, "retention.metrics", r.Metrics.Std(), MinRetention, MaxRetention)
	inRange(p, "retention.dead", r.Dead.Std(), MinRetention, MaxRetention)
}

// names are those that are taken in a tenant.
type names struct {
	users   map[string]string // name of a poller → what it is
	pollers map[event.Producer]event.Site
}

// takenNames takes the name of every poller first, so that everything else can
// refer to any of them.
func takenNames(p *problems, sites []Site) names {
	n := names{users: map[string]string{}, pollers: map[event.Producer]event.Site{}}
	for i, site := range sites {
		for j, poller := range site.Pollers {
			path := fmt.Sprintf("sites[%d].pollers[%d].id", i, j)
			if poller.ID == "" {
				p.add(path, "like: {id: syd-01}", "the poller has no id")
				continue
			}
			p.addErr(path, event.CheckUserName("poller", string(poller.ID)))
			if was, taken := n.users[string(poller.ID)]; taken {
				p.add(path, "a name is used once in a tenant, in any role", "%q is already the name of %s", clip(string(poller.ID)), was)
				continue
			}
			n.users[string(poller.ID)] = fmt.Sprintf("a poller of site %q", clip(string(site.ID)))
			n.pollers[poller.ID] = site.ID
		}
	}
	return n
}

// siteChecker checks sites and their devices.
type siteChecker struct {
	*problems
	opt   Options
	taken names
}

func (c siteChecker) sites(list []Site) {
	seen := map[event.Site]bool{}
	for i, site := range list {
		path := fmt.Sprintf("sites[%d]", i)
		if site.ID == "" {
			c.add(path+".id", "like: id: syd", "the site has no id")
		} else {
			c.addErr(path+".id", event.CheckName("site", string(site.ID)))
		}
		if seen[site.ID] && site.ID != "" {
			c.add(path+".id", "put its devices below the first one", "site %q is given twice", clip(string(site.ID)))
		}
		seen[site.ID] = true
		c.text(path+".name", site.Name, 120)
		if len(site.Pollers) == 0 && len(site.Devices) > 0 {
			c.add(path+".pollers", "add: pollers: [{id: "+clip(string(site.ID))+"-01}]", "the devices of site %q are not watched: it has no poller", clip(string(site.ID)))
		}
		c.devices(path, site)
	}
}

package tenants

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
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
	MinSubscriptions            = 64 // the system\'s own connections need some, too
	MaxSubscriptions            = 100_000
	MaxConsumers                = 10_000
	MaxAckPending               = 1_000_000
	MinByteRate           Bytes = 1 << 10
	MaxByteRate           Bytes = 64 << 30

	MaxMessageSize Bytes = 960 << 10 // below the connection's limit of 1 MiB, with room for headers

	MinRetention = streams.DuplicateWindow // what is younger is never trimmed
	MaxRetention = 3660 * 24 * time.Hour
)

// Options say what a spec may refer to, as far as the caller knows.
type Options struct {
	Collectors []string // names of collectors; empty: any
}

// checker walks a spec and collects what is wrong.
type checker struct {
	problems
	opt     Options
	spec    *Spec
	users   map[string]string // name of a poller or application → what it is
	pollers map[event.Producer]event.Site
}

// Validate reports everything that is wrong with s, or nil. The error is
// Invalid; Mistakes takes it apart. Defaults must be filled in, as loading
// does. Values of secrets are never repeated.
func (s *Spec) Validate(opt Options) error {
	return join((&problems{s.check(opt)}).mistakes())
}

func (s *Spec) check(opt Options) []problem {
	c := &checker{opt: opt, spec: s, users: map[string]string{}, pollers: map[event.Producer]event.Site{}}
	c.head()
	c.quota()
	c.pollerIDs()
	c.sites()
	c.subscriptions()
	c.schemas()
	return c.list
}

func (c *checker) head() {
	s := c.spec
	if s.APIVersion != APIVersion {
		c.add("apiVersion", "write: apiVersion: "+APIVersion, "apiVersion %q is not known", clip(s.APIVersion))
	}
	if s.Kind != KindTenant {
		c.add("kind", "write: kind: "+KindTenant, "kind %q is not known", clip(s.Kind))
	}
	if s.ID == "" {
		c.add("id", "add the tenant's short name, like: id: acme", "the tenant has no id")
	} else {
		c.addErr("id", event.CheckUserName("tenant", string(s.ID)))
	}
	c.text("name", s.Name, 120)
	c.text("contact", s.Contact, 200)
	c.oneOf("policy", s.Policy, PolicyEnforce, PolicyWarn)
}

func (c *checker) quota() {
	q, r := c.spec.Quota, c.spec.Retention
	inRange(c, "quota.storage", q.Storage, MinStorage, MaxStorage)
	inRange(c, "quota.connections", q.Connections, 1, MaxConnections)
	inRange(c, "quota.messageRate", q.MessageRate, 1, MaxMessageRate)
	inRange(c, "quota.messageSize", q.MessageSize, MinMessageSize, MaxMessageSize)
	inRange(c, "quota.connectionsPerUser", q.ConnectionsPerUser, MinConnectionsPerUser, MaxConnectionsPerUser)
	inRange(c, "quota.subscriptions", q.Subscriptions, MinSubscriptions, MaxSubscriptions)
	inRange(c, "quota.consumers", q.Consumers, 1, MaxConsumers)
	inRange(c, "quota.maxAckPending", q.MaxAckPending, 1, MaxAckPending)
	// Those that follow from another number are as wrong as it is; it is named once.
	if q.MessageRate > 0 {
		inRange(c, "quota.byteRate", q.ByteRate, MinByteRate, MaxByteRate)
		inRange(c, "quota.producerMessageRate", q.ProducerMessageRate, 1, MaxMessageRate)
		inRange(c, "quota.producerByteRate", q.ProducerByteRate, MinByteRate, MaxByteRate)
	}
	inRange(c, "retention.events", r.Events.Std(), MinRetention, MaxRetention)
	inRange(c, "retention.metrics", r.Metrics.Std(), MinRetention, MaxRetention)
	inRange(c, "retention.dead", r.Dead.Std(), MinRetention, MaxRetention)
}

// inRange checks lo ≤ v ≤ hi and says whether it is so.
func inRange[T ~int | ~int64](c *checker, path string, v, lo, hi T) bool {
	good := v >= lo && v <= hi
	if !good {
		c.add(path, fmt.Sprintf("allowed is %s to %s", show(lo), show(hi)), "%s is out of range", show(v))
	}
	return good
}

var printable = regexp.MustCompile(`^[^\p{Cc}]*$`)

// text checks a display text.
func (c *checker) text(path, s string, limit int) {
	switch {
	case len(s) > limit:
		c.add(path, fmt.Sprintf("at most %d bytes", limit), "the text is too long (%d bytes)", len(s))
	case !printable.MatchString(s):
		c.add(path, "one line of text", "the text has a control character or a line break")
	}
}

func (c *checker) oneOf(path, v string, allowed ...string) {
	if slices.Contains(allowed, v) {
		return
	}
	hint := "one of: " + strings.Join(allowed, ", ")
	if best := closest(v, allowed); best != "" && v != "" {
		hint = fmt.Sprintf("did you mean %q?", best)
	}
	field := path[strings.LastIndex(path, ".")+1:]
	field, _, _ = strings.Cut(field, "[")
	c.add(path, hint, "%s %q is not known", field, clip(v))
}

// pollerIDs registers every poller first, so that everything else can refer to
// any of them.
func (c *checker) pollerIDs() {
	for i, site := range c.spec.Sites {
		for j, p := range site.Pollers {
			path := fmt.Sprintf("sites[%d].pollers[%d].id", i, j)
			if p.ID == "" {
				c.add(path, "like: {id: syd-01}", "the poller has no id")
				continue
			}
			c.addErr(path, event.CheckUserName("poller", string(p.ID)))
			if was, taken := c.users[string(p.ID)]; taken {
				c.add(path, "a name is used once in a tenant, whatever its role", "%q is already the name of %s", clip(string(p.ID)), was)
				continue
			}
			c.users[string(p.ID)] = fmt.Sprintf("a poller of site %q", clip(string(site.ID)))
			c.pollers[p.ID] = site.ID
		}
	}
}

func (c *checker) sites() {
	seen := map[event.Site]bool{}
	for i, site := range c.spec.Sites {
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
			c.add(path+".pollers", "add: pollers: [{id: "+clip(string(site.ID))+"-01}]", "nobody watches the devices of site %q: it has no poller", clip(string(site.ID)))
		}
		c.devices(path, site)
	}
}

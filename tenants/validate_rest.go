package tenants

import (
	"fmt"
	"slices"
	"strings"

	"midplane/event"
	"midplane/schemas"
	"midplane/schemas/catalog"
	"midplane/streams"
)

// subscriptionChecker checks the subscriptions of applications.
type subscriptionChecker struct {
	*problems
	sites []Site
	taken names
}

func (c subscriptionChecker) subscriptions(list []Subscription) {
	seen := map[string]bool{}
	for i, s := range list {
		path := fmt.Sprintf("subscriptions[%d]", i)
		c.application(path+".application", s.Application)
		if s.Name == "" {
			c.add(path+".name", "like: name: outages", "the subscription has no name")
		} else {
			c.addErr(path+".name", event.CheckName("subscription", s.Name))
		}
		if key := s.Application + "/" + s.Name; seen[key] {
			c.add(path+".name", "names are unique within an application", "application %q has two subscriptions %q", clip(s.Application), clip(s.Name))
		} else {
			seen[key] = true
		}
		c.oneOf(path+".whenFull", s.WhenFull, WhenFullHold, WhenFullSkip)
		if event.KindOfStream(s.Stream) == "" {
			c.oneOf(path+".stream", s.Stream, event.Streams[:]...)
			continue
		}
		c.filter(path+".filter", s)
	}
}

func (c subscriptionChecker) application(path, app string) {
	if app == "" {
		c.add(path, "the name of the user that reads, like: application: billing", "the subscription has no application")
		return
	}
	c.addErr(path, event.CheckUserName("application", app))
	if was, taken := c.taken.users[app]; taken {
		c.add(path, "a name is used once in a tenant, in any role", "%q is already the name of %s", clip(app), was)
	}
}

func (c subscriptionChecker) filter(path string, s Subscription) {
	before := len(c.list)
	for i, site := range s.Filter.Site {
		known := site == event.NoSite || slices.ContainsFunc(c.sites, func(x Site) bool { return x.ID == site })
		if !known {
			c.add(fmt.Sprintf("%s.site[%d]", path, i), c.siteHint(string(site)), "there is no site %q", clip(string(site)))
		}
	}
	for i, sev := range s.Filter.Severity {
		if sev.Level() < 0 {
			names := make([]string, len(event.Severities))
			for j, known := range event.Severities {
				names[j] = string(known)
			}
			c.oneOf(fmt.Sprintf("%s.severity[%d]", path, i), string(sev), names...)
		}
	}
	kind := event.KindOfStream(s.Stream)
	if len(s.Filter.Severity) > 0 && kind != event.KindEvent {
		c.add(path+".severity", "only messages in EVENTS have one", "stream %s cannot be filtered by severity", s.Stream)
	}
	for i, t := range s.Filter.Type {
		_, err := streams.Filters(kind, nil, []string{t}, nil)
		c.addErr(fmt.Sprintf("%s.type[%d]", path, i), err)
	}
	if len(c.list) > before {
		return
	}
	_, err := streams.Filters(kind, s.Filter.Severity, s.Filter.Type, s.Filter.Site)
	c.addErr(path, err)
}

func (c subscriptionChecker) siteHint(s string) string {
	var names []string
	for _, x := range c.sites {
		names = append(names, string(x.ID))
	}
	if best := closest(s, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "the tenant's sites are: " + strings.Join(names, ", ")
}

// maxSchemas bounds what a door compiles for one tenant.
const maxSchemas = 200

func (s *Spec) checkSchemas(p *problems) {
	if len(s.Schemas) > maxSchemas {
		p.add("schemas", "", "%d schemas, at most %d are allowed", len(s.Schemas), maxSchemas)
		return
	}
	seen := map[event.Type]bool{}
	for i, sc := range s.Schemas {
		path := fmt.Sprintf("schemas[%d]", i)
		switch {
		case sc.Type == "":
			p.add(path+".type", "like: type: acme.door.opened.v1", "the schema has no type")
			continue
		case seen[sc.Type]:
			p.add(path+".type", "a breaking change is a new type, …v2", "type %q is given twice", clip(string(sc.Type)))
			continue
		case ours(sc.Type):
			p.add(path+".type", "begin your own types with another word, like "+string(s.ID)+".", "type %q belongs to Midplane", clip(string(sc.Type)))
			continue
		}
		seen[sc.Type] = true
		if len(sc.Schema) == 0 {
			p.add(path+".file", "name a file that holds a JSON Schema", "type %q has no schema", clip(string(sc.Type)))
			continue
		}
		p.addErr(path, sc.Check())
		if n := Bytes(len(sc.Example)); n > s.Quota.MessageSize {
			p.add(path, "", "the example is larger than a message may be (%d bytes)", n)
		}
	}
}

// ours reports whether a type is one of Midplane's own.
func ours(t event.Type) bool {
	return strings.HasPrefix(string(t), "midplane.") ||
		slices.ContainsFunc(catalog.Schemas(), func(s schemas.Schema) bool { return s.Type == t })
}

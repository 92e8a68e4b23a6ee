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

func (c *checker) subscriptions() {
	seen := map[string]bool{}
	for i, s := range c.spec.Subscriptions {
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
			c.oneOf(path+".stream", s.Stream, event.StreamEvents, event.StreamState, event.StreamMetrics, event.StreamDead)
			continue
		}
		c.filter(path+".filter", s)
	}
}

func (c *checker) application(path, app string) {
	if app == "" {
		c.add(path, "the name of the user that reads, like: application: billing", "the subscription has no application")
		return
	}
	c.addErr(path, event.CheckUserName("application", app))
	if was, taken := c.users[app]; taken {
		c.add(path, "a name is used once in a tenant, whatever its role", "%q is already the name of %s", clip(app), was)
	}
}

func (c *checker) filter(path string, s Subscription) {
	before := len(c.list)
	for i, site := range s.Filter.Site {
		known := site == event.NoSite || slices.ContainsFunc(c.spec.Sites, func(x Site) bool { return x.ID == site })
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

func (c *checker) siteHint(s string) string {
	var names []string
	for _, x := range c.spec.Sites {
		names = append(names, string(x.ID))
	}
	if best := closest(s, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "the tenant's sites are: " + strings.Join(names, ", ")
}

// maxSchemas bounds what a door compiles for one tenant.
const maxSchemas = 200

func (c *checker) schemas() {
	if len(c.spec.Schemas) > maxSchemas {
		c.add("schemas", "", "%d schemas, at most %d are allowed", len(c.spec.Schemas), maxSchemas)
		return
	}
	seen := map[event.Type]bool{}
	for i, s := range c.spec.Schemas {
		path := fmt.Sprintf("schemas[%d]", i)
		switch {
		case s.Type == "":
			c.add(path+".type", "like: type: acme.door.opened.v1", "the schema has no type")
			continue
		case seen[s.Type]:
			c.add(path+".type", "a breaking change is a new type, …v2", "type %q is given twice", clip(string(s.Type)))
			continue
		case ours(s.Type):
			c.add(path+".type", "begin your own types with another word, like "+string(c.spec.ID)+".", "type %q belongs to Midplane", clip(string(s.Type)))
			continue
		}
		seen[s.Type] = true
		if len(s.Schema) == 0 {
			c.add(path+".file", "name a file that holds a JSON Schema", "type %q has no schema", clip(string(s.Type)))
			continue
		}
		c.addErr(path, s.Check())
		if n := Bytes(len(s.Example)); n > c.spec.Quota.MessageSize {
			c.add(path, "", "the example is larger than a message may be (%d bytes)", n)
		}
	}
}

// ours reports whether a type is one of Midplane's own.
func ours(t event.Type) bool {
	return strings.HasPrefix(string(t), "midplane.") ||
		slices.ContainsFunc(catalog.Schemas(), func(s schemas.Schema) bool { return s.Type == t })
}

package tenants

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"midplane/event"
	"midplane/subject"
)

// Bounds of a device.
const (
	maxDeviceID  = 80  // bytes; leaves room for "/check/<name>"
	maxDeviceEnc = 160 // bytes as a subject's token
	maxParams    = 32
	maxParam     = 2048 // bytes of a value
	minInterval  = time.Second
	maxInterval  = 24 * time.Hour
	minTimeout   = 50 * time.Millisecond
)

func (c siteChecker) devices(site string, s Site) {
	seen := map[event.Entity]bool{}
	for i, d := range s.Devices {
		path := fmt.Sprintf("%s.devices[%d]", site, i)
		c.deviceID(path+".id", d.ID)
		if seen[d.ID] && d.ID != "" {
			c.add(path+".id", "ids are unique within a site", "device %q is given twice", clip(string(d.ID)))
		}
		seen[d.ID] = true
		c.text(path+".name", d.Name, 200)
		c.address(path+".address", d.Address)
		if d.Poller != "" {
			c.assigned(path+".poller", d.Poller, s)
		}
		if d.SNMP != nil {
			snmpChecker{c.problems, path + ".snmp"}.settings(*d.SNMP)
		}
		c.checks(path, d)
	}
}

func (c siteChecker) deviceID(path string, id event.Entity) {
	if id == "" {
		c.add(path, "like: id: r1", "the device has no id")
		return
	}
	if err := event.CheckEntity(id); err != nil {
		c.addErr(path, err)
		return
	}
	switch {
	case strings.TrimSpace(string(id)) != string(id):
		c.add(path, "remove it", "the id begins or ends with a blank")
	case id.Device() != id:
		c.add(path, "those words name a device's parts", "the id contains %q or %q", "/if/", "/check/")
	case len(id) > maxDeviceID || len(subject.EncodeEntity(id)) > maxDeviceEnc:
		c.add(path, fmt.Sprintf("at most %d bytes; use the name for the long form", maxDeviceID), "the id is too long")
	}
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?$`)

func (c siteChecker) address(path, a string) {
	if a == "" {
		c.add(path, "like: address: 192.0.2.1", "the device has no address")
		return
	}
	if _, err := netip.ParseAddr(a); err == nil {
		return
	}
	if len(a) > 253 || !hostName.MatchString(a) || strings.Trim(a, "0123456789.") == "" {
		c.add(path, "without a port, path or scheme", "%q is neither an IP address nor a host name", clip(a))
	}
}

// assigned checks that a device's poller is one of its site.
func (c siteChecker) assigned(path string, p event.Producer, s Site) {
	if len(s.Pollers) == 0 || slices.ContainsFunc(s.Pollers, func(x Poller) bool { return x.ID == p }) {
		return // a site without pollers is a mistake of its own
	}
	var names []string
	for _, x := range s.Pollers {
		names = append(names, string(x.ID))
	}
	hint := "the site's pollers are: " + strings.Join(names, ", ")
	if best := closest(string(p), names); best != "" {
		hint = fmt.Sprintf("did you mean %q?", best)
	}
	if other, ok := c.taken.pollers[p]; ok {
		hint = fmt.Sprintf("%s is at site %s", p, other)
	}
	c.add(path, hint, "poller %q is not one of site %q", clip(string(p)), clip(string(s.ID)))
}

func (c siteChecker) checks(device string, d Device) {
	seen := map[string]bool{}
	for i, k := range d.Checks {
		path := fmt.Sprintf("%s.checks[%d]", device, i)
		if k.Name == "" {
			c.add(path+".name", "like: name: web", "the check has no name")
		} else {
			c.addErr(path+".name", event.CheckName("check", k.Name))
		}
		if seen[k.Name] && k.Name != "" {
			c.add(path+".name", "names are unique within a device", "check %q is given twice", clip(k.Name))
		}
		seen[k.Name] = true
		c.collector(path+".collector", k.Collector, d)
		if inRange(c.problems, path+".interval", k.Interval.Std(), minInterval, maxInterval) {
			c.inTime(path, k)
		}
		if len(k.Params) > maxParams {
			c.add(path+".params", "", "%d parameters, at most %d are allowed", len(k.Params), maxParams)
		}
		for _, name := range slices.Sorted(maps.Keys(k.Params)) {
			c.param(path+".params."+name, name, k.Params[name])
		}
	}
	c.deciders(device, d)
}

func (c siteChecker) inTime(path string, k Check) {
	if t := k.Timeout.Std(); t < minTimeout || t > k.Interval.Std() {
		c.add(path+".timeout", fmt.Sprintf("at least %s, at most the interval (%s)", show(minTimeout), show(k.Interval)), "%s is out of range", show(t))
	}
}

func (c siteChecker) collector(path, name string, d Device) {
	switch {
	case name == "":
		c.add(path, "like: collector: ping", "the check has no collector")
	case len(c.opt.Collectors) > 0:
		c.oneOf(path, name, c.opt.Collectors...)
	default:
		c.addErr(path, event.CheckName("collector", name))
	}
	if name == "snmp" && d.SNMP == nil {
		c.add(path, "add: snmp: {community: env:NAME}", "device %q has no snmp settings", clip(string(d.ID)))
	}
}

var paramName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,63}$`)

// param checks what can be checked without knowing the collector: bounds, and
// that no secret stands there in clear.
func (c siteChecker) param(path, name, v string) {
	switch {
	case !paramName.MatchString(name):
		c.add(path, "letters and digits", "parameter %q is not a good name", clip(name))
	case len(v) > maxParam:
		c.addSecret(path, "", "the value of %q has %d bytes, at most %d are allowed", name, len(v), maxParam)
	case !printable.MatchString(v):
		c.addSecret(path, "one line of text", "the value of %q has a control character or a line break", name)
	case secretName.MatchString(name):
		c.secret(path, "parameter "+name, v)
	case hasPassword(v):
		c.addSecret(path, "secrets are given as references: secret:NAME, env:NAME or file:PATH", "the URL in %q holds credentials", name)
	}
}

func hasPassword(v string) bool {
	if !strings.Contains(v, "://") {
		return false
	}
	u, err := url.Parse(v)
	if err != nil {
		return strings.Contains(v, "@")
	}
	return u.User != nil
}

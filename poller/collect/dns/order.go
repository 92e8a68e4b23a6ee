package dns

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"midplane/poller/collect"
)

// The networks that a question goes over.
const (
	overUDP = "udp" // and TCP when the answer is truncated
	overTCP = "tcp"
)

// order is what the parameters ask for.
type order struct {
	name      string // with the dot at its end
	qtype     uint16
	server    string // address and port
	network   string
	expect    []string // in the form of form, sorted; nil: any answer is right
	minTTL    int      // seconds, 0: any
	requireAD bool
	owns      bool
}

func read(t collect.Target) (order, error) {
	p := collect.ReadParams(t, "name", "type", "server", "port", "protocol", "expect", "minTTL", "requireAD")
	server := p.String("server", t.Address)
	o := order{
		network:   p.String("protocol", overUDP),
		minTTL:    p.Int("minTTL", 0, 0, 1<<31-1),
		requireAD: p.Bool("requireAD", false),
		// Another server's answer says nothing about this device.
		owns: p.Reachability(false) && server == t.Address,
	}
	if server == "" {
		p.Fail("server", "is missing, and the device has no address")
	}
	o.server = net.JoinHostPort(server, strconv.Itoa(p.Port("port", 53)))
	if o.network != overUDP && o.network != overTCP {
		p.Fail("protocol", "is neither udp nor tcp")
	}
	kind := strings.ToUpper(p.String("type", "A"))
	if !slices.Contains(kinds, kind) {
		p.Fail("type", "is not one of %s", strings.Join(kinds, ", "))
	}
	o.qtype = dns.StringToType[kind]
	o.readName(p)
	if text := p.String("expect", ""); text != "" {
		o.readExpect(p, text)
	}
	return o, p.Err()
}

// kinds are the types of records that can be asked for.
var kinds = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "TXT"}

// readName reads the name; that of a PTR record may be the address itself.
func (o *order) readName(p *collect.Params) {
	name := p.String("name", "")
	if ip, err := netip.ParseAddr(name); err == nil && o.qtype == dns.TypePTR {
		name, _ = dns.ReverseAddr(ip.WithZone("").String()) // it is an address
	}
	o.name = dns.CanonicalName(name)
	switch _, ok := dns.IsDomainName(name); {
	case name == "":
		p.Fail("name", "is missing")
	case !ok || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.Fail("name", "is not a domain name (one with other letters than ASCII is written xn--…)")
	}
}

// readExpect reads the list of expected answers.
func (o *order) readExpect(p *collect.Params, text string) {
	for _, one := range strings.Split(text, separator) {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		want, ok := form(o.qtype, one)
		if !ok {
			p.Fail("expect", "is not a list of %s records separated by %q", dns.TypeToString[o.qtype], separator)
			return
		}
		o.expect = append(o.expect, want)
	}
	slices.Sort(o.expect)
	o.expect = slices.Compact(o.expect)
}

// separator stands between expected answers: it is in no name and no address,
// and in hardly any text.
const separator = "|"

// shown is what is checked, for people.
func (o order) shown() string {
	return collect.Clip(o.server + " " + o.name + " " + dns.TypeToString[o.qtype])
}

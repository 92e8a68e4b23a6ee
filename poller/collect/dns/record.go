package dns

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// form brings an expected answer into the form that text gives to a record:
// names in small letters with the dot at their end, addresses in their shortest
// form, one blank between fields. It reports whether it can be such an answer.
func form(qtype uint16, s string) (string, bool) {
	fields := strings.Fields(s)
	switch qtype {
	case dns.TypeA, dns.TypeAAAA:
		ip, err := netip.ParseAddr(s)
		return ip.String(), err == nil && ip.Is4() == (qtype == dns.TypeA) && ip.Zone() == ""
	case dns.TypeTXT:
		return s, true
	case dns.TypeMX:
		if len(fields) != 2 {
			return "", false
		}
		return fields[0] + " " + dns.CanonicalName(fields[1]), true
	case dns.TypeSOA:
		for i := range min(2, len(fields)) { // the two names; numbers follow
			fields[i] = dns.CanonicalName(fields[i])
		}
		return strings.Join(fields, " "), len(fields) <= 7
	}
	return dns.CanonicalName(s), len(fields) == 1
}

// plain undoes what the library escapes of a text although it can be printed.
var plain = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

// text is the data of a record in one line of printable characters.
func text(rr dns.RR) string {
	switch r := rr.(type) {
	case *dns.A:
		if ip, ok := netip.AddrFromSlice(r.A); ok {
			return ip.Unmap().String()
		}
		return "no address"
	case *dns.AAAA:
		if ip, ok := netip.AddrFromSlice(r.AAAA); ok {
			return ip.String()
		}
		return "no address"
	case *dns.TXT:
		return plain.Replace(strings.Join(r.Txt, ""))
	case *dns.CNAME:
		return dns.CanonicalName(r.Target)
	case *dns.NS:
		return dns.CanonicalName(r.Ns)
	case *dns.PTR:
		return dns.CanonicalName(r.Ptr)
	}
	data := strings.TrimPrefix(rr.String(), rr.Header().String()) // MX, SOA
	return strings.ToLower(data)
}

// same reports whether an answer is the expected one. Of a SOA record only the
// fields that are expected count: its serial number changes with the zone.
func same(qtype uint16, got, want string) bool {
	return got == want || qtype == dns.TypeSOA && strings.HasPrefix(got, want+" ")
}

// answers follows the aliases from name through the records and returns those of
// the type that was asked for, at the end of the way.
func answers(records []dns.RR, name string, qtype uint16) []dns.RR {
	aliases, found := map[string]string{}, map[string][]dns.RR{}
	for _, rr := range records {
		owner := dns.CanonicalName(rr.Header().Name)
		if rr.Header().Class != dns.ClassINET {
			continue
		}
		if c, ok := rr.(*dns.CNAME); ok {
			aliases[owner] = dns.CanonicalName(c.Target)
		}
		if rr.Header().Rrtype == qtype {
			found[owner] = append(found[owner], rr)
		}
	}
	for range len(records) + 1 { // a loop of aliases has an end
		if list := found[name]; len(list) > 0 {
			return list
		}
		next, ok := aliases[name]
		if !ok {
			return nil
		}
		name = next
	}
	return nil
}

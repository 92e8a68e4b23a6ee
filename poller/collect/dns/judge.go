package dns

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"midplane/event"
	"midplane/poller/collect"
)

// How many answers a message lists, and how many characters of them.
const (
	maxShown = 10
	maxList  = 140
)

// judge compares an answer with what is expected.
func (o order) judge(reply *dns.Msg, r *collect.Result) {
	code := rcode(reply.Rcode)
	if reply.Rcode != dns.RcodeSuccess {
		r.Set(event.CheckCritical, code)
		return
	}
	if reply.Truncated {
		r.Set(event.CheckCritical, "the answer is truncated, over TCP too")
		return
	}
	records := answers(reply.Answer, o.name, o.qtype)
	if len(records) == 0 {
		r.Set(event.CheckCritical, fmt.Sprintf("%s, but no %s record", code, dns.TypeToString[o.qtype]))
		return
	}
	ttl := records[0].Header().Ttl
	got := make([]string, 0, len(records))
	for _, rr := range records {
		ttl = min(ttl, rr.Header().Ttl)
		got = append(got, text(rr))
	}
	slices.Sort(got) // servers turn the order of equals
	got = slices.Compact(got)
	facts := fmt.Sprintf("TTL %d s", ttl)
	if reply.AuthenticatedData {
		facts += ", AD"
	}
	r.Set(event.CheckOK, fmt.Sprintf("%s %s (%s)", code, list(got), facts))
	if !o.expected(got) {
		r.Set(event.CheckCritical, "expected "+list(o.expect))
	}
	if o.requireAD && !reply.AuthenticatedData {
		r.Set(event.CheckCritical, "the answer is not authenticated: it has no AD bit")
	}
	if int64(ttl) < int64(o.minTTL) {
		r.Set(event.CheckWarning, fmt.Sprintf("the TTL is below %d s", o.minTTL))
	}
}

// expected reports whether the answers are those that are expected, all of them
// and no others.
func (o order) expected(got []string) bool {
	if o.expect == nil {
		return true
	}
	within := func(a, b []string, same func(x, y string) bool) bool {
		return !slices.ContainsFunc(a, func(x string) bool {
			return !slices.ContainsFunc(b, func(y string) bool { return same(x, y) })
		})
	}
	return within(got, o.expect, func(g, w string) bool { return same(o.qtype, g, w) }) &&
		within(o.expect, got, func(w, g string) bool { return same(o.qtype, g, w) })
}

// list is a list for a sentence, the end left out when it is long: a message
// has room for two.
func list(all []string) string {
	text := strings.Join(all[:min(maxShown, len(all))], ", ")
	if runes := []rune(text); len(runes) > maxList {
		text = string(runes[:maxList-1]) + "…"
	}
	if more := len(all) - maxShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

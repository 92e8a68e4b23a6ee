package dns

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"

	"midplane/poller/collect"
	"midplane/schemas/catalog"
)

// What a server sends is made a result that can be published.
func FuzzAnswer(f *testing.F) {
	q := new(dns.Msg).SetQuestion("www.example.net.", dns.TypeTXT)
	q.Id = 7
	for _, text := range []string{"www.example.net. 60 IN TXT \"a\" \"b\"", "www.example.net. 60 IN CNAME a.", "www.example.net. 60 IN MX 1 a.", "www.example.net. 60 IN SOA a. b. 1 2 3 4 5"} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{rr}
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, uint8(0))
	}
	f.Add(append(head(q), 0xc0, 12, 0, 1, 0, 1), uint8(3))
	f.Fuzz(func(t *testing.T, raw []byte, kind uint8) {
		target := target("53", "name=www.example.net minTTL=60 requireAD=true reachability=true type=TXT")
		o, err := read(target)
		if err != nil {
			t.Fatal(err)
		}
		o.qtype = dns.StringToType[kinds[int(kind)%len(kinds)]]
		x := exchange{order: o, question: new(dns.Msg).SetQuestion(o.name, o.qtype), began: time.Now(), r: collect.NewResult(target, o.shown(), o.owns)}
		x.question.Id = q.Id
		reply, err := x.read(raw)
		if err != nil {
			return
		}
		x.answered()
		o.judge(reply, x.r)
		for _, e := range x.r.Events(target) {
			entry, ok := catalog.Set().Lookup(e.Type)
			if !ok {
				t.Fatal(e.Type)
			}
			if bad := entry.Validator.Validate(e.Data); bad != nil {
				t.Errorf("%v: %s", bad, e.Data)
			}
		}
		if n := utf8.RuneCountInString(x.r.Check.Message); n > 400 {
			t.Errorf("a message of %d characters", n)
		}
	})
}

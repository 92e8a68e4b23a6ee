package dns

import (
	"context"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/poller/collect/collecttest"
)

// target is a check with "NAME=VALUE …"; a blank in a value is written "_".
func target(port, params string) collect.Target {
	t := collect.Target{Device: "ns1", Address: "127.0.0.1", Check: "dns", Collector: "dns", Timeout: 5 * time.Second,
		Params: map[string]string{"port": port}}
	for _, p := range strings.Fields(params) {
		name, value, _ := strings.Cut(p, "=")
		t.Params[name] = strings.ReplaceAll(value, "_", " ")
	}
	return t
}

func TestExam(t *testing.T) {
	port := resolver(t)
	silent := hostile{}.listen(t)
	collecttest.Run(t, collecttest.Exam{
		Collector: New(),
		Working: func(*testing.T) collect.Target {
			return target(port, "name=www.example.net expect=192.0.2.2|192.0.2.1 reachability=true")
		},
		Broken: func(*testing.T) collect.Target { return target(port, "name=none.example.net") },
		Silent: func(*testing.T) collect.Target { return target(silent, "name=www.example.net") },
		Types:  []event.Type{event.TypeCheck, event.TypeTiming, event.TypeReachability},
	})
}

func look(t *testing.T, target collect.Target) (event.Check, *event.Reachability, *event.Timing) {
	t.Helper()
	return collecttest.Look(t, New(), target)
}

// What a real server answers, over both networks.
func TestAnswersOfARealServer(t *testing.T) {
	net, org := resolver(t), authority(t)
	for name, tt := range map[string]struct{ params, status, message string }{
		"A":     {"name=www.example.net", event.CheckOK, "NOERROR 192.0.2.1, 192.0.2.2 (TTL 300 s)"},
		"AAAA":  {"name=www.example.net type=AAAA expect=2001:DB8:0::1", event.CheckOK, "NOERROR 2001:db8::1 (TTL 300 s)"},
		"CNAME": {"name=web.example.net type=cname expect=WWW.example.net", event.CheckOK, "NOERROR www.example.net. (TTL 300 s)"},
		"A of an alias": {"name=WEB.example.net. expect=192.0.2.2|192.0.2.1|192.0.2.1", event.CheckOK,
			"NOERROR 192.0.2.1, 192.0.2.2 (TTL 300 s)"},
		"MX":  {"name=example.net type=MX expect=20_backup.example.net.|10_mail.example.net", event.CheckOK, "NOERROR 10 mail.example.net., 20 backup.example.net. (TTL 300 s)"},
		"TXT": {"name=example.net type=TXT expect=v=spf1_-all", event.CheckOK, "NOERROR v=spf1 -all (TTL 300 s)"},
		"TXT with quotes": {`name=quoted.example.net type=TXT expect=say_"hi"`, event.CheckOK,
			`NOERROR say "hi" (TTL 300 s)`},
		"NS":             {"name=example.org type=NS expect=ns.example.org", event.CheckOK, "NOERROR ns.example.org. (TTL 600 s)"},
		"SOA":            {"name=example.org type=SOA expect=ns.example.org_hostmaster.example.org", event.CheckOK, "NOERROR ns.example.org. hostmaster.example.org. 2026010100 1200 180 1209600 600 (TTL 600 s)"},
		"SOA's serial":   {"name=example.org type=SOA expect=ns.example.org_hostmaster.example.org_7", event.CheckCritical, "NOERROR ns.example.org. hostmaster.example.org. 2026010100 1200 180 1209600 600 (TTL 600 s); expected ns.example.org. hostmaster.example.org. 7"},
		"PTR":            {"name=192.0.2.1 type=PTR expect=www.example.net", event.CheckOK, "NOERROR www.example.net. (TTL 300 s)"},
		"PTR of IPv6":    {"name=2001:db8::1 type=PTR", event.CheckOK, "NOERROR www.example.net. (TTL 300 s)"},
		"one too few":    {"name=www.example.net expect=192.0.2.1", event.CheckCritical, "NOERROR 192.0.2.1, 192.0.2.2 (TTL 300 s); expected 192.0.2.1"},
		"one too many":   {"name=www.example.net expect=192.0.2.1|192.0.2.2|192.0.2.3", event.CheckCritical, "NOERROR 192.0.2.1, 192.0.2.2 (TTL 300 s); expected 192.0.2.1, 192.0.2.2, 192.0.2.3"},
		"a short life":   {"name=www.example.net minTTL=301", event.CheckWarning, "NOERROR 192.0.2.1, 192.0.2.2 (TTL 300 s); the TTL is below 301 s"},
		"no AD":          {"name=www.example.net requireAD=true", event.CheckCritical, "NOERROR 192.0.2.1, 192.0.2.2 (TTL 300 s); the answer is not authenticated: it has no AD bit"},
		"no such name":   {"name=none.example.net", event.CheckCritical, "NXDOMAIN"},
		"no such record": {"name=www.example.net type=MX", event.CheckCritical, "NOERROR, but no MX record"},
		"not its zone":   {"name=example.com", event.CheckCritical, "REFUSED"},
	} {
		for _, network := range []string{overUDP, overTCP} {
			t.Run(name+" over "+network, func(t *testing.T) {
				port := net
				if strings.Contains(tt.params, "example.org") {
					port = org
				}
				c, up, timing := look(t, target(port, tt.params+" protocol="+network))
				if c.Status != tt.status || c.Message != tt.message || up != nil {
					t.Errorf("%+v %+v", c, up)
				}
				if timing == nil || timing.Total <= 0 || c.Latency != timing.Total || timing.FirstByte <= 0 || (timing.Connect > 0) != (network == overTCP) {
					t.Errorf("%+v", timing)
				}
			})
		}
	}
}

// An answer that does not fit into a datagram is asked for over TCP.
func TestTruncatedIsAskedOverTCP(t *testing.T) {
	c, _, timing := look(t, target(resolver(t), "name=long.example.net type=TXT"))
	if c.Status != event.CheckOK || !strings.HasPrefix(c.Message, "NOERROR 00xxx") || !strings.Contains(c.Message, "… and 10 more (TTL 300 s)") {
		t.Errorf("%+v", c)
	}
	if timing == nil || timing.Connect <= 0 || timing.FirstByte <= 0 || timing.Total < timing.Connect {
		t.Errorf("%+v", timing)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	port := freePort(t)
	for _, network := range []string{overUDP, overTCP} {
		c, up, timing := look(t, target(port, "name=www.example.net reachability=true protocol="+network))
		if c.Status != event.CheckCritical || c.Message != "connection refused" || c.Target != "127.0.0.1:"+port+" www.example.net. A" || timing != nil ||
			up == nil || up.Status != event.StatusDown || up.Method != "dns" {
			t.Errorf("%s: %+v %+v %+v", network, c, up, timing)
		}
	}
}

// Whether a device is up is decided by its own answer: by any of them, and not
// by that of another server.
func TestReachability(t *testing.T) {
	port := resolver(t)
	_, up, _ := look(t, target(port, "name=example.com reachability=true")) // REFUSED
	if up == nil || up.Status != event.StatusUp || up.RTT <= 0 {
		t.Errorf("%+v", up)
	}
	other := target(port, "name=www.example.net reachability=true server=127.0.0.1")
	other.Address = "192.0.2.9"
	if c, up, _ := look(t, other); c.Status != event.CheckOK || up != nil {
		t.Errorf("another server's answer: %+v %+v", c, up)
	}
	unknown := target(port, "name=www.example.net reachability=true")
	unknown.Address = "nowhere.invalid"
	if c, up, _ := look(t, unknown); c.Status != event.CheckCritical || !strings.Contains(c.Message, "does not resolve") || up != nil {
		t.Errorf("an address that does not resolve: %+v %+v", c, up)
	}
}

func TestBadParameters(t *testing.T) {
	for _, params := range []string{
		"", "name=a..b", "name=bücher.example", "name=a_b.example", "name=" + strings.Repeat("a", 64) + ".example",
		"name=a.example type=ANY", "name=a.example type=AXFR", "name=a.example protocol=tls", "name=a.example port=0",
		"name=a.example expect=2001:db8::1", "name=a.example type=AAAA expect=192.0.2.1", "name=a.example type=MX expect=mail.example",
		"name=a.example type=NS expect=a_b", "name=a.example minTTL=-1", "name=a.example requireAD=perhaps",
	} {
		err := New().Collect(context.Background(), target("53", params), nil)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", params, err)
		}
	}
	nowhere := target("53", "name=a.example")
	nowhere.Address = ""
	if err := New().Collect(context.Background(), nowhere, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no address: %v", err)
	}
}

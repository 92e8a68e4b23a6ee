// Package all is the one list of collectors. A new collector is a folder under
// poller/collect, an exam in its test, and a line here.
package all

import (
	"midplane/poller/collect"
	"midplane/poller/collect/dns"
	"midplane/poller/collect/host"
	"midplane/poller/collect/http"
	"midplane/poller/collect/ping"
	"midplane/poller/collect/snmp"
	"midplane/poller/collect/tcp"
)

// Collectors returns every collector by the name that a check calls it by.
func Collectors() map[string]collect.Collector {
	return map[string]collect.Collector{
		"dns":  dns.New(),
		"host": host.New(),
		"http": http.New(),
		"ping": ping.New(),
		"snmp": snmp.New(),
		"tcp":  tcp.New(),
	}
}

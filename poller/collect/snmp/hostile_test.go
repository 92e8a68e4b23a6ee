package snmp

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
)

// An agent may be broken or an impostor: with any answer the check ends
// in time with a finding.
func TestHostileAgents(t *testing.T) {
	t.Setenv("T_COMMUNITY", "any-community")
	t.Setenv("T_AUTH", "any-passphrase")
	for name, answer := range map[string]func(request []byte) []byte{
		"echoes the request": func(r []byte) []byte { return r },
		"says nothing":       func([]byte) []byte { return []byte{} },
		"is cut short":       func(r []byte) []byte { return r[:len(r)/2] },
		"is noise": func([]byte) []byte {
			out := make([]byte, rand.IntN(1400)+1)
			for i := range out {
				out[i] = byte(rand.Uint32())
			}
			return out
		},
		"flips bytes of it": func(r []byte) []byte {
			for range 3 {
				r[rand.IntN(len(r))] = byte(rand.Uint32())
			}
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := udp(t)
			go func() {
				buf := make([]byte, 65536)
				for {
					n, from, err := server.ReadFromUDP(buf)
					if err != nil {
						return
					}
					if _, err := server.WriteToUDP(answer(append([]byte(nil), buf[:n]...)), from); err != nil {
						return
					}
				}
			}()
			port := server.LocalAddr().(*net.UDPAddr).Port
			for _, settings := range []api.SNMP{
				{Version: "2c", Port: port, Community: "env:T_COMMUNITY"},
				{Version: "3", Port: port, User: "u", AuthProtocol: "SHA256", AuthSecret: "env:T_AUTH"},
			} {
				began := time.Now()
				got := say(t, collect.Target{Device: "r1", Address: "127.0.0.1", Check: "snmp", Collector: "snmp",
					Timeout: 600 * time.Millisecond, SNMP: &settings})
				if got.check.Status != event.CheckCritical || got.inventory != nil {
					t.Errorf("v%s: it believes the answer: %+v", settings.Version, got.check)
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("v%s: it took %s", settings.Version, took)
				}
			}
		})
	}
}

package config

import (
	"testing"

	"midplane/fault"
)

func TestVariablesOfOthers(t *testing.T) {
	ok := []string{"MIDPLANE_TEST_SLOW", "MIDPLANE_TEST", "MIDPLANE_CONFIG", "MIDPLANE_MASTER_KEY", "MIDPLANE_SECRET_SNMP",
		"MIDPLANE_SERVICE_HOST", "MIDPLANE_SERVICE_PORT_NATS", "MIDPLANE_PORT", "MIDPLANE_PORT_4222_TCP",
		"MIDPLANE_NODES_PORT_4222_TCP_ADDR", "MIDPLANE_NODES_SERVICE_HOST", "OTHER", "MIDPLANEX"}
	for _, name := range ok {
		if err := checkEnvironment([]string{name + "=1"}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"MIDPLANE_", "MIDPLANE_HTTP", "MIDPLANE_SECRET", "MIDPLANE_PORTX"} {
		if err := checkEnvironment([]string{name + "=1"}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

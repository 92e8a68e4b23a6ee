package control_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/schemas/catalog"
	"midplane/tenants/account"
)

// TestAPollerIsGivenWhatTheDoorsTake: only to a poller that says it reads it, and
// also with an answer that nothing has changed.
func TestAPollerIsGivenWhatTheDoorsTake(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	apply(t, c, testcluster.Tenant("versions"))
	p := join(t, c, "versions", account.RolePoller, "syd-01")
	ask := func(have uint64, reads ...string) (cfg api.PollerConfig) {
		askChannel(t, p, api.ChannelConfig, api.ConfigRequest{Have: have, Reads: reads}, &cfg)
		return cfg
	}
	if cfg := ask(0); cfg.Types != nil {
		t.Errorf("an older poller is given versions: %v", cfg.Types)
	}
	testwait.Until(t, "the versions of three nodes", func() error { // presences come every second
		cfg := ask(0, api.ReadsTypes)
		if d := cmp.Diff(catalog.Versions(), cfg.Types); d != "" || len(cfg.Devices) == 0 {
			return fmt.Errorf("%+v\n%s", cfg, d)
		}
		again := ask(cfg.Revision, api.ReadsPace, api.ReadsTypes)
		if d := cmp.Diff(catalog.Versions(), again.Types); d != "" || !again.Unchanged {
			return fmt.Errorf("again: %+v\n%s", again, d)
		}
		return nil
	})
	for _, check := range ask(0).Devices[0].Checks {
		if mark := check.Params["reachability"]; mark != "true" && mark != "false" {
			t.Errorf("check %s carries the mark %q", check.Name, mark)
		}
	}
}

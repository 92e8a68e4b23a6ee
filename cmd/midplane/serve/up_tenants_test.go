package serve

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants"
)

// slowCluster stores a spec in a second, and does not answer the first try of one.
type slowCluster struct {
	mu     sync.Mutex
	stored map[string]bool
	silent string
	now    int // stored at the same time
	most   int
}

func (c *slowCluster) Admin(ctx context.Context, verb string, req, _ any) error {
	if verb == api.TenantSpec {
		return fault.New(fault.NotFound, "there is no tenant")
	}
	c.mu.Lock()
	spec, err := tenants.ParseJSON(req.(api.PutTenant).Spec)
	if err != nil {
		c.mu.Unlock()
		return err
	}
	id := string(spec.ID)
	silent := c.silent == id
	if silent {
		c.silent = ""
	}
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	if silent {
		<-ctx.Done()
	} else {
		time.Sleep(time.Second)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	if silent {
		return fault.Wrap(fault.Unavailable, ctx.Err(), "no answer")
	}
	c.stored[id] = true
	return nil
}

// However many files there are, each has its own time; some are stored at once.
func TestManyTenantsAreStored(t *testing.T) {
	const n = 300
	var wanted []*tenants.Spec
	for i := range n {
		spec, err := tenants.ParseJSON(fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"id":"t%04d"}`, tenants.APIVersion, tenants.KindTenant, i))
		if err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, spec)
	}
	synctest.Test(t, func(t *testing.T) {
		c := &slowCluster{stored: map[string]bool{}, silent: "t0100"}
		if err := (&upRun{ask: c.Admin}).applyAll(t.Context(), wanted); err != nil {
			t.Fatal(err)
		}
		if len(c.stored) != n || c.most != storeAtOnce {
			t.Errorf("%d stored, %d at once", len(c.stored), c.most)
		}
	})
}

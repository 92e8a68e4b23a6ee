package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/wait"
)

const (
	tenantsCome = "tenants"
	// passing is how many tenants come and go, one after the other.
	passing = 3
	// settledIn is how long it may take until nothing of who went is left.
	settledIn = 45 * time.Second
)

// Tenants applies tenants and deletes them again, by turns. What was answered holds:
// who came is there and ready, and of who went nothing is left, on no disk.
type Tenants struct {
	there      map[string]bool // by tenant, by the last answer
	came, went int
	longest    time.Duration   // one change, with its retries
	system     map[string]bool // accounts of tenants that the system has for itself
}

// Name is the workload's.
func (c *Tenants) Name() string { return tenantsCome }

// Declare needs nothing.
func (c *Tenants) Declare(*World) { c.there = map[string]bool{} }

// Run makes one change after the other until ctx ends; the one that is under way then
// is finished, so that it is known what must be there.
func (c *Tenants) Run(ctx context.Context, w *World) error {
	for i := 0; ctx.Err() == nil; i = (i + 1) % passing {
		id := fmt.Sprintf("passing-%d", i+1)
		file := filepath.Join(w.sys.Dir, id+".yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "apiVersion: midplane/v1\nkind: Tenant\nid: %s\nname: Passing\nquota: {storage: 64MiB}\nsites: [{id: syd, name: Sydney}]\n", id), 0o600); err != nil {
			return err
		}
		args := []string{"apply", "-f", file}
		if c.there[id] {
			args = []string{"delete", "tenant", id, "--yes"}
		}
		began := time.Now()
		if err := c.until(w, func(ctx context.Context) error {
			_, err := w.sys.Run(ctx, args...)
			if err != nil && c.changed(ctx, w, id) { // the answer was lost
				return nil
			}
			return err
		}); err != nil {
			return fmt.Errorf("%v: %w", args, err)
		}
		c.longest = max(c.longest, time.Since(began))
		if c.there[id] = !c.there[id]; c.there[id] {
			c.came++
		} else {
			c.went++
		}
		_ = wait.For(ctx, time.Second) // the loop ends with it
	}
	return nil
}

// changed reports whether a tenant has come, or gone, as it was to.
func (c *Tenants) changed(ctx context.Context, w *World, id string) bool {
	rows, err := tenantsOf(ctx, w.sys)
	if err != nil {
		return false
	}
	if c.there[id] {
		return !contains(rows, id)
	}
	return slices.ContainsFunc(rows, func(t api.Tenant) bool { return t.ID == id && t.Ready })
}

// until repeats f within patience.
func (c *Tenants) until(w *World, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.sys.Await(ctx, f)
}

func tenantsOf(ctx context.Context, d *testcluster.Deployment) (rows []api.Tenant, err error) {
	return rows, d.Get(ctx, &rows, "tenants")
}

func contains(rows []api.Tenant, id string) bool {
	return slices.ContainsFunc(rows, func(t api.Tenant) bool { return t.ID == id })
}

// Judge waits until who must be there is, and of the others nothing is left; then the
// rest goes too.
func (c *Tenants) Judge(ctx context.Context, w *World) (p Part) {
	p.Findings = c.settled(ctx, w)
	for id, there := range c.there {
		if there {
			if _, err := w.sys.Run(ctx, "delete", "tenant", id, "--yes"); err != nil {
				p.find("%v", err)
			}
			c.there[id] = false
		}
	}
	p.Findings = append(p.Findings, c.settled(ctx, w)...)
	p.Figures = fmt.Sprintf("%d came, %d went, a change took at most %.1f s", c.came, c.went, c.longest.Seconds())
	return p
}

// settled waits until all is as it was answered, and returns what is not.
func (c *Tenants) settled(ctx context.Context, w *World) (found []string) {
	ctx, cancel := context.WithTimeout(ctx, settledIn)
	defer cancel()
	if err := w.sys.Await(ctx, func(ctx context.Context) error {
		rows, err := tenantsOf(ctx, w.sys)
		if err != nil {
			return err
		}
		on := map[string][]string{}
		for _, n := range w.sys.Nodes {
			if on[n], err = streamsOnDisk(w.DataDir(n)); err != nil {
				return err
			}
		}
		if found = c.agree(rows, on); len(found) > 0 {
			return fmt.Errorf("%d findings", len(found))
		}
		return nil
	}); err != nil && len(found) == 0 {
		found = append(found, err.Error())
	}
	return found
}

// Before notes the accounts that the system has for itself: they are listed nowhere.
func (c *Tenants) Before(ctx context.Context, w *World) error {
	rows, err := tenantsOf(ctx, w.sys)
	if err != nil {
		return err
	}
	c.system = map[string]bool{}
	for _, n := range w.sys.Nodes {
		list, err := streamsOnDisk(w.DataDir(n))
		if err != nil {
			return err
		}
		for _, account := range list {
			if !slices.ContainsFunc(rows, func(t api.Tenant) bool { return t.Account == account }) {
				c.system[account] = true
			}
		}
	}
	return nil
}

// agree holds what is there, and the accounts whose streams are on the disk of each
// node, against what was answered.
func (c *Tenants) agree(rows []api.Tenant, on map[string][]string) (found []string) {
	accounts := map[string]bool{}
	for _, t := range rows {
		accounts[t.Account] = true
		if must, ours := c.there[t.ID]; ours && !must {
			found = append(found, t.ID+" was deleted and is there")
		} else if ours && !t.Ready {
			found = append(found, fmt.Sprintf("%s is not ready: %+v", t.ID, t.Conditions))
		}
	}
	for id, must := range c.there {
		if must && !contains(rows, id) {
			found = append(found, id+" was applied and is not there")
		}
	}
	for node, list := range on {
		for _, account := range list {
			if !accounts[account] && !c.system[account] {
				found = append(found, fmt.Sprintf("%s has streams of account %s, which no tenant has", node, account))
			}
		}
	}
	return found
}

// streamsOnDisk returns the accounts whose stream EVENTS is on a node's disk.
func streamsOnDisk(data string) (accounts []string, err error) {
	paths, err := filepath.Glob(filepath.Join(data, "jetstream", "jetstream", "*", "streams", event.StreamEvents))
	for _, path := range paths {
		accounts = append(accounts, filepath.Base(filepath.Dir(filepath.Dir(path))))
	}
	return accounts, err
}

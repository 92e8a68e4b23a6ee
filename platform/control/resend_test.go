package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/control/upgrade"
	"midplane/tenants/account"
)

// TestStatesAreAskedFor: what a primary asks for is kept, the poller gets a hint and
// the request with its configuration through every node, and once however often it is
// asked; nothing is kept for what is no poller or not watched.
func TestStatesAreAskedFor(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	spec := testcluster.Tenant("resend")
	many := []event.Entity{"r1"}
	for i := range 50 {
		d := spec.Sites[0].Devices[0]
		d.ID = event.Entity(fmt.Sprint("many-", i))
		spec.Sites[0].Devices, many = append(spec.Sites[0].Devices, d), append(many, d.ID)
	}
	apply(t, c, spec)
	k := core(t, c)
	app := join(t, c, "resend", account.RoleProducer, "feed")
	key, seed := newKey(t)
	creds := userWith(t, c, "resend", account.RolePoller, "syd-01", key, seed)
	var nodes []member // the poller, by the node that it asks
	for i := range c.Names() {
		m := member{nc: mustAt(t, c, i, creds, "syd-01"), name: "syd-01", seed: seed}
		m.ch = api.NewChannel(m.nc, m.name, m.sign)
		nodes = append(nodes, m)
	}
	p := nodes[0]
	req := func(poller string, devices ...event.Entity) api.ResendRequest {
		return api.ResendRequest{Tenant: "resend", Poller: poller, Devices: devices}
	}
	for what, bad := range map[string]struct {
		req  api.ResendRequest
		want fault.Kind
	}{
		"no devices":        {req("syd-01"), fault.Invalid},
		"too many":          {req("syd-01", make([]event.Entity, api.MaxResend+1)...), fault.Invalid},
		"no name":           {req("syd-01", "r1", ""), fault.Invalid},
		"a name of a line":  {req("syd-01", "r1\n"), fault.Invalid},
		"another user":      {req(app.name, "r1"), fault.NotFound},
		"no user":           {req("mel-01", "r1"), fault.NotFound},
		"a pattern":         {req("*", "r1"), fault.NotFound},
		"a long name":       {req(strings.Repeat("x", 1000), "r1"), fault.NotFound},
		"no tenant":         {api.ResendRequest{Poller: "syd-01", Devices: []event.Entity{"r1"}}, fault.NotFound},
		"an unknown tenant": {api.ResendRequest{Tenant: "nowhere", Poller: "syd-01", Devices: []event.Entity{"r1"}}, fault.NotFound},
	} {
		wantKind(t, what, k.Do(testContext(t), api.CoreResend, bad.req, nil), bad.want)
	}

	kept := func(m member) []api.Resend {
		t.Helper()
		var cfg api.PollerConfig
		askChannel(t, m, api.ChannelConfig, api.ConfigRequest{Reads: []string{api.ReadsPolls}}, &cfg)
		if cfg.Polls == nil {
			return nil
		}
		return cfg.Polls.Resend
	}
	do := func(devices ...event.Entity) {
		t.Helper()
		if err := k.Do(testContext(t), api.CoreResend, req("syd-01", devices...), nil); err != nil {
			t.Fatal(err)
		}
	}
	do("ghost")
	if got := kept(p); len(got) != 0 {
		t.Errorf("%+v is kept of a device that is not watched", got)
	}
	before := time.Now()
	do("r1", "ghost")
	var first []api.Resend
	for i, at := range nodes {
		testwait.Until(t, fmt.Sprintf("the request through node %d", i+1), func() error {
			got := kept(at)
			if len(got) != 1 || got[0].Device != "r1" || got[0].Asked.Before(before.Add(-time.Minute)) {
				return fmt.Errorf("%+v", got)
			}
			if first == nil {
				first = got
			}
			if d := cmp.Diff(first, got); d != "" {
				return fmt.Errorf("another request: %s", d)
			}
			return nil
		})
	}
	do("r1")
	if d := cmp.Diff(first, kept(p)); d != "" && time.Since(before) < 10*time.Second {
		t.Errorf("asked twice within a moment: %s", d)
	}

	// Each request brings a hint. The leader sends one a second too, here.
	hints, err := p.nc.SubscribeSync("hint.syd-01")
	if err == nil {
		err = p.nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, d := range many[1:] {
		do(d)
	}
	for range many[1:] {
		msg, err := hints.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		var hint api.Hint
		if err := api.DecodeStrict(msg.Data, &hint); err != nil || len(msg.Header) != 0 { // as pollers read it
			t.Errorf("hint %s: %v", msg.Data, err)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("%d hints took %s", len(many)-1, took)
	}
	testwait.Until(t, "all requests", func() error {
		got := kept(p)
		for i, a := range got {
			if a.Device != many[i] {
				return fmt.Errorf("%+v", got)
			}
		}
		if len(got) != len(many) {
			return fmt.Errorf("%d of %d", len(got), len(many))
		}
		return nil
	})
}

// TestPollsNeedsEveryProgram: a poller is had to send what changed only when every
// registered primary understands it, and only when the poller does; also with an
// answer that nothing else has changed.
func TestPollsNeedsEveryProgram(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace}) // what is in use differs here
	spec := testcluster.Tenant("polls")
	spec.Quota.MessageSize = 100 << 10
	apply(t, c, spec)
	p := join(t, c, "polls", account.RolePoller, "syd-01")
	ask := func(have uint64, reads ...string) (cfg api.PollerConfig) {
		t.Helper()
		askChannel(t, p, api.ChannelConfig, api.ConfigRequest{Have: have, Reads: reads}, &cfg)
		return cfg
	}
	is := func(what string, want *api.Polls) {
		t.Helper()
		testwait.Until(t, what, func() error {
			cfg := ask(0, api.ReadsPolls)
			same := ask(cfg.Revision, api.ReadsPolls)
			if d := cmp.Diff(want, cfg.Polls) + cmp.Diff(want, same.Polls); d != "" || !same.Unchanged {
				return fmt.Errorf("%+v: %s", same, d)
			}
			return nil
		})
	}
	want := &api.Polls{MaxMessage: 100 << 10, State: 1, Ledger: true}
	is("without a primary", want)
	if cfg := ask(0, api.ReadsFormats); cfg.Polls != nil {
		t.Errorf("a poller that does not read it is given %+v", cfg.Polls)
	}

	k := core(t, c)
	report := func(u api.Understands) {
		t.Helper()
		if err := k.Do(testContext(t), api.CoreUnderstands, u, nil); err != nil {
			t.Fatal(err)
		}
		if err := k.Do(testContext(t), api.CoreCursor, api.CursorReport{Tenant: "polls", Reading: true, Cursors: []api.Cursor{}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	older := upgrade.Mine("")
	older.Formats = api.Formats{api.FormatRegistry: 2, api.FormatChannel: 2, api.FormatCore: 2}
	report(older)
	is("with a primary of a version before", nil)
	if data, err := json.Marshal(ask(0, api.ReadsPolls)); err != nil || strings.Contains(string(data), "polls\":{") {
		t.Errorf("%s, %v", data, err)
	}
	report(upgrade.Mine(""))
	is("when the primary is of this version", want)
}

package upgrade_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testregistry"
	"midplane/internal/testwait"
	"midplane/platform/control/upgrade"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

const version = "0.2.0"

// world is a registry on a real server, as one node has it.
type world struct {
	t    *testing.T
	reg  *testregistry.Node
	room upgrade.Room
}

func newWorld(t *testing.T) *world {
	t.Helper()
	reg := testregistry.Open(t)
	return &world{t: t, reg: reg, room: upgrade.Room{Registry: reg.Registry, Mine: upgrade.Mine(version), PollerSilent: time.Minute, PrimarySilent: time.Minute}}
}

// oldNode is the presence of v0.1.0.
func (w *world) oldNode(name string, stopped bool) {
	w.reg.Say(registry.NodeKey(name), map[string]any{"name": name, "revision": 1, "closed": []string{}, "version": "0.1.0", "stopped": stopped})
}

func (w *world) newNode(name string) {
	w.reg.Say(registry.NodeKey(name), registry.Presence{Name: name, Version: version, Formats: w.room.Mine.Formats, Types: w.room.Mine.Types})
}

func (w *world) status() api.Upgrade {
	w.t.Helper()
	answer, err := w.room.Status(w.reg.Ctx, "admin", struct{}{})
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.(api.Upgrade)
}

// used waits until the newest types and formats are in use, or until they are not.
func (w *world) used(what string, want bool) {
	w.t.Helper()
	testwait.Until(w.t, what, func() error {
		if got := w.reg.InUse(); got.Covers(w.room.Mine) != want {
			return fmt.Errorf("in use: %+v", got)
		}
		return nil
	})
}

func (w *world) finish(want fault.Kind, text string) {
	w.t.Helper()
	_, err := w.room.Finish(w.reg.Ctx, "admin", struct{}{})
	if want == "" && err != nil || want != "" && (!fault.Is(err, want) || !strings.Contains(err.Error(), text) || fault.HintOf(err) == "") {
		w.t.Errorf("finish: %v", err)
	}
}

// Nothing new is used until every node and primary understands it and the upgrade
// is ended.
func TestUpgradeIsEndedByAnOperator(t *testing.T) {
	w := newWorld(t)
	w.oldNode("n1", false)
	if err := w.room.Begin(w.reg.Ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"n2", "n3"} {
		w.newNode(n)
	}
	w.reg.Say(registry.PrimaryKey("primary-1"), time.Now())
	w.used("with an old node", false)
	if u := w.status(); !u.Open || u.Ready || u.Next != "start the new version of node n1" || u.Ended != nil {
		t.Errorf("%+v", u)
	}
	w.finish(fault.Conflict, "node n1")
	w.oldNode("n1", true)
	w.finish(fault.Conflict, "node n1") // it may come back as it was
	w.newNode("n1")
	w.finish(fault.Conflict, "primary primary-1 is")
	w.reg.Say(registry.PrimaryUnderstandsKey("primary-1"), w.room.Mine)
	if u := w.status(); !u.Ready || len(u.Behind) != 0 {
		t.Errorf("%+v", u)
	}
	w.used("before it is ended", false)
	gone := registry.Presence{Name: "n4", Version: version, Formats: w.room.Mine.Formats, Types: w.room.Mine.Types, Stopped: true}
	w.reg.Say(registry.NodeKey("n4"), gone)
	w.finish(fault.Conflict, "node n4 is not live") // it may come back as anything
	forget := func(name string, want fault.Kind) {
		t.Helper()
		if _, err := w.room.Forget(w.reg.Ctx, "admin", api.NodeRef{Node: name}); fault.KindOf(err) != want {
			t.Errorf("forget %s: %v", name, err)
		}
	}
	forget("n1", fault.Conflict)
	forget("n9", fault.NotFound)
	forget("n4", "")
	if err := w.room.Check(); err != nil {
		t.Errorf("a new node is refused: %v", err)
	}
	w.finish("", "")
	w.used("after it was ended", true)
	if u := w.status(); u.Open || u.Ended == nil || u.By != "admin" {
		t.Errorf("%+v", u)
	}
	w.finish("", "") // a second time changes nothing

	// A node of the version before that comes back all the same is kept from
	// reading what it does not understand; so is one that asks first.
	w.oldNode("n3", false)
	w.used("with an old node again", false)
	if u := w.status(); u.Open || u.Next != "stop node n3: it is older than what is in use" {
		t.Errorf("%+v", u)
	}
	if list := (api.ClusterFacts{Quorum: true, MetaLead: "n1", Upgrade: w.room.Look()}).Problems(); len(list) != 1 || list[0].Code != api.CodeVersionTooOld {
		t.Errorf("%+v", list)
	}
	old := upgrade.Room{Registry: w.reg.Registry, Mine: api.Understands{Version: "0.1.9", Formats: api.Formats{api.FormatChannel: 2}}}
	if err := old.Check(); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "format registry 3") || fault.HintOf(err) == "" {
		t.Errorf("an older node starts: %v", err)
	}
}

// A deployment that begins with this version has no version before to go back to.
func TestNewDeploymentUsesTheNewest(t *testing.T) {
	w := newWorld(t)
	w.newNode("n1")
	if err := w.room.Begin(w.reg.Ctx); err != nil {
		t.Fatal(err)
	}
	w.used("at once", true)
	if err := w.room.Begin(w.reg.Ctx); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// One that has something stored keeps what it has.
func TestOlderDeploymentKeepsItsLevel(t *testing.T) {
	w := newWorld(t)
	w.newNode("n1")
	rev, err := w.reg.Users.Create(w.reg.Ctx, "acme", registry.User{Name: "ann", Role: account.RoleApp})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.reg.Config.Wait(w.reg.Ctx, rev); err != nil {
		t.Fatal(err)
	}
	if err := w.room.Begin(w.reg.Ctx); err != nil {
		t.Fatal(err)
	}
	w.used("without an operator's word", false)
	w.finish("", "")
	w.used("with it", true)
	if v := w.reg.View(); len(v.Tenants) != 1 || v.Tenants[event.Tenant("acme")] == nil {
		t.Errorf("the record of the level is taken for a tenant: %v", v.Tenants)
	}
}

// Streams have no limit of their own once the upgrade was ended, unless a live node's
// doors do not keep the shares. Neither primaries nor nodes that cannot be seen at this
// moment take it back, and a node that is down counts as behind.
func TestStreamsAreUnboundedOnceTheUpgradeWasEnded(t *testing.T) {
	w := newWorld(t)
	w.oldNode("n1", false)
	unbounded := func(what string, want bool) {
		t.Helper()
		testwait.Until(t, what, func() error {
			if got, err := w.reg.Unbounded(); err != nil || got != want {
				return fmt.Errorf("unbounded: %t, %w", got, err)
			}
			return nil
		})
	}
	unbounded("before it is ended", false)
	w.newNode("n1")
	w.newNode("n2")
	w.finish("", "")
	unbounded("after it was ended", true)
	w.reg.Say(registry.PrimaryKey("primary-1"), time.Now())
	w.used("with an old primary", false)
	unbounded("with an old primary", true)
	w.oldNode("n3", false)
	unbounded("with an old node", false)
	w.oldNode("n3", true)
	unbounded("when it has stopped", true)
	if behind := w.reg.Behind("acme", 1); len(behind) != 3 { // no new node has loaded anything yet
		t.Errorf("behind: %v", behind)
	}
	w.reg.Say(registry.NodeKey("n1"), registry.Presence{Name: "n1", Version: version, Revision: 7, Formats: w.room.Mine.Formats, Closed: []string{"globex"}})
	testwait.Until(t, "n1 is not behind", func() error {
		if behind := fmt.Sprint(w.reg.Behind("acme", 7), w.reg.Behind("globex", 7)); behind != "[n2 n3] [n1 n2 n3]" {
			return fmt.Errorf("behind: %s", behind)
		}
		return nil
	})
}

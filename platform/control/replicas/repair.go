package replicas

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// asked is that a node was asked to repair a replica.
type asked struct {
	at    time.Time
	tries int
}

// over reports whether it is asked again: the replica is as bad as before. The first
// time after two minutes, since the node starts its server again each time.
func (a asked) over() bool { return time.Since(a.at) > time.Minute<<min(a.tries, 6) }

// opened notes a finding and says so.
func (a *Auditor) opened(ctx context.Context, f Finding) {
	a.state.Findings[f.key()] = f
	a.cfg.Log.Error("a replica differs from the others", "node", f.Node, "account", f.Account, "stream", f.Stream, "damage", f.Damage.What, "page", true)
	a.raise(ctx, f, "replica-diverged", event.Critical,
		fmt.Sprintf("the replica of %s on node %s is not whole: %s", f.Stream, f.Node, f.Damage.What),
		"it is taken over again from the other nodes; see midplane get replicas")
}

// closed says that a replica is equal to the others again.
func (a *Auditor) closed(ctx context.Context, f Finding) {
	a.cfg.Log.Info("a replica is equal to the others again", "node", f.Node, "account", f.Account, "stream", f.Stream)
	a.raise(ctx, f, "replica-repaired", event.Notice, fmt.Sprintf("the replica of %s on node %s is equal to the others again", f.Stream, f.Node), "")
}

// raise raises an alarm in the tenant whose stream it is; the control plane's own
// streams are in the log alone.
func (a *Auditor) raise(ctx context.Context, f Finding, name string, sev event.Severity, message, hint string) {
	t := a.cfg.Registry.View().ByKey[f.Account]
	if t == nil || !t.Open() {
		return
	}
	id := fmt.Sprintf("%s/%s/%s/%d", name, f.Stream, f.Node, f.Found.Unix())
	a.cfg.Alarms.RaiseOnce(ctx, t, id, sev, event.Alarm{Alarm: name, Source: "replicas", Stream: f.Stream, From: f.Damage.From, To: f.Damage.To, Message: message, Hint: hint})
}

// repairOne has at most one node take damaged replicas over from the others.
func (a *Auditor) repairOne(ctx context.Context, s seen) {
	for _, f := range a.state.Findings {
		if f.Repairing {
			return // one node at a time
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a.state.Findings)) {
		f := a.state.Findings[key]
		why := ""
		if a.cfg.Ask {
			why = fmt.Sprintf("an operator has to ask for it: midplane replica repair --node %s", f.Node)
		} else if err := a.repair(ctx, f, s); err != nil {
			why = err.Error()
		} else {
			f.Repairing = true
			a.repaired[key] = asked{at: time.Now(), tries: a.repaired[key].tries + 1}
		}
		f.Waits = why
		a.state.Findings[key] = f
		if f.Repairing {
			return
		}
	}
}

// repair has a finding's node take the replica over, when the others surely hold
// all of it.
func (a *Auditor) repair(ctx context.Context, f Finding, s seen) error {
	if err := a.othersHold(f, s); err != nil {
		return err
	}
	return a.cfg.Room.repairChecked(ctx, f.ref(), f.Node, f.Damage)
}

// othersHold checks that all nodes are there and that the other replicas agree.
func (a *Auditor) othersHold(f Finding, s seen) error {
	others := slices.DeleteFunc(slices.Clone(s.last[f.ref()]), func(a at) bool { return a.node == f.Node })
	if len(s.silent) > 0 || len(others) < len(a.cfg.Registry.Nodes())-1 {
		return fault.New(fault.Unavailable, "not all nodes hold the stream and answer")
	}
	if len(others) < 2 {
		return fault.New(fault.Invalid, "there are no two other replicas that agree")
	}
	for node := range s.bad[f.ref()] {
		if node != f.Node {
			return fault.New(fault.Conflict, "the replica on node %s is damaged as well", node)
		}
	}
	return nil
}

// repairChecked has the other nodes read their files of a stream, and then has one
// node take its replica over from them.
func (r *Room) repairChecked(ctx context.Context, ref api.ReplicaRef, node string, why api.ReplicaDamage) error {
	found, silent, err := r.VerifyEverywhere(ctx, []api.ReplicaRef{ref})
	if err != nil {
		return err
	}
	if len(silent) > 0 {
		return fault.New(fault.Unavailable, "no answer of %s", strings.Join(silent, ", "))
	}
	whole := 0
	for name, list := range found {
		for _, v := range list {
			switch {
			case name == node:
			case v.Unreadable:
				return fault.New(fault.Conflict, "node %s cannot verify its files", name)
			case v.Damage != nil:
				return fault.New(fault.Conflict, "the replica on node %s is damaged as well: %s", name, v.Damage.What)
			default:
				whole++
			}
		}
	}
	if whole < 2 {
		return fault.New(fault.Conflict, "%d other replicas are whole, two are needed", whole)
	}
	return r.repair(ctx, api.ReplicaRepair{Node: node, ReplicaRef: ref, Damage: why})
}

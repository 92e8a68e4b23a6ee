package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/control"
	"midplane/tenants"
	"midplane/tenants/account"
)

// moving is a tenant whose streams lose their own limits and get them back.
type moving struct {
	*testing.T
	*testcluster.Cluster
	spec   *tenants.Spec
	feed   *nats.Conn
	stored uint64 // events
}

// inUse stores what the last upgrade was ended with, with or without the format of
// streams that have no limit of their own.
func (m *moving) inUse(space int) {
	m.Helper()
	kv, err := testcluster.Registry(testContext(m.T), m.Cluster)
	if err != nil {
		m.Fatal(err)
	}
	formats := api.CurrentFormats()
	formats[api.FormatSpace] = space
	level, err := json.Marshal(map[string]any{"formats": formats, "ended": time.Now(), "by": "a test"})
	if err != nil {
		m.Fatal(err)
	}
	if _, err := kv.Put(testContext(m.T), "upgrade._", level); err != nil {
		m.Fatal(err)
	}
}

// settle has the control plane look at the tenant.
func (m *moving) settle() {
	m.Helper()
	m.spec.Quota.Connections++
	apply(m.T, m.Cluster, m.spec)
}

func (m *moving) publish() {
	m.Helper()
	if err := publish(m.feed, "feed"); err != nil {
		m.Fatalf("event %d: %v", m.stored+1, err)
	}
	m.stored++
}

// everything waits until every node that runs has every stream with all its messages.
func (m *moving) everything(what string) {
	m.Helper()
	testwait.Until(m.T, what+": every replica of every stream is there", func() error {
		all, err := testcluster.Replicas(testContext(m.T), m.Cluster, string(m.spec.ID))
		if err != nil {
			return err
		}
		for _, name := range event.Streams {
			if len(all[name]) != len(testcluster.Running(m.Cluster)) {
				return fmt.Errorf("%s: %+v", name, all[name])
			}
			for _, r := range all[name] {
				if r.Leader == "" || name == event.StreamEvents && r.Messages != m.stored {
					return fmt.Errorf("%s: %+v, %d events are stored", name, r, m.stored)
				}
			}
		}
		return nil
	})
}

// are waits until the account allows unbounded streams or not, and each stream has
// no limit of its own or one.
func (m *moving) are(allowed, unbounded bool, of ...string) {
	m.Helper()
	testwait.Until(m.T, fmt.Sprintf("unbounded streams are allowed %t, %v are %t", allowed, of, unbounded), func() error {
		// A node that was just started may miss a request, and is asked again.
		ctx, cancel := context.WithTimeout(testContext(m.T), 10*time.Second)
		defer cancel()
		acc, err := m.Account(ctx, string(m.spec.ID))
		if err != nil {
			return err
		}
		if got := !acc.Limits.JetStreamTieredLimits["R3"].MaxBytesRequired; got != allowed {
			return fmt.Errorf("allowed: %t", got)
		}
		all, err := testcluster.Replicas(ctx, m.Cluster, string(m.spec.ID))
		if err != nil {
			return err
		}
		for _, name := range of {
			for _, r := range all[name] {
				if (r.MaxBytes < 0) != unbounded {
					return fmt.Errorf("%s: %+v", name, r)
				}
			}
		}
		return nil
	})
}

// restart stops all nodes and starts them again. Then everything is there, and events
// are stored once the control plane has looked.
func (m *moving) restart(what string) {
	m.Helper()
	for _, name := range testcluster.Running(m.Cluster) {
		m.Stop(name)
	}
	for _, name := range m.Names() {
		if err := m.Start(testContext(m.T), name); err != nil {
			m.Fatal(err)
		}
	}
	if err := m.Ready(testContext(m.T)); err != nil {
		m.Fatal(err)
	}
	m.everything(what)
	m.settle()
	m.publish()
	m.everything(what)
}

// A tenant's streams lose their own limits once the upgrade was ended, and get them
// back when it is not in use any more, in an order in which all nodes may stop at any
// moment, and one of them may have been away: each starts again with every stream.
func TestStreamsLoseTheirLimitsAndGetThemBackWithoutAGap(t *testing.T) {
	t.Parallel()
	slow := pace
	slow.Check = time.Hour // the control plane looks when the test says so, and after a start
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: control.Pace{Check: slow.Check, PrimarySilent: slow.PrimarySilent, Duplicates: slow.Duplicates, Overlap: slow.Overlap}})
	m := &moving{T: t, Cluster: c, spec: testcluster.Tenant("moving")}
	m.inUse(1)
	apply(t, c, m.spec)
	m.feed = c.As(t, "moving", account.RoleProducer, "feed")
	m.are(false, false, event.Streams[:]...)
	m.publish()

	c.Stop("n3")
	m.inUse(2)
	m.settle()
	m.are(true, false, event.Streams[:]...)
	m.publish()
	m.everything("one node has not got the account's JWT, so the streams are as they were")
	_, nc, js := testcluster.Straight(testContext(t), t, c, "moving")
	for _, name := range []string{event.StreamEvents, event.StreamState} {
		s, err := js.Stream(testContext(t), name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.MaxBytes = -1
		if _, err := js.UpdateStream(testContext(t), cfg); err != nil {
			t.Fatal(err)
		}
	}
	nc.Close()
	m.restart("the account allows it, and half of the streams are unbounded")
	m.are(true, true, event.Streams[:]...)
	m.restart("all streams are unbounded")

	c.Stop("n3")
	m.inUse(1)
	m.settle()
	m.are(true, false, event.Streams[:]...)
	m.publish()
	m.everything("one node has not got the streams' limits, so the account is as it was")
	m.restart("the streams have limits, and the account does not ask for them")
	m.are(false, false, event.Streams[:]...)
	m.restart("as it was in the beginning")

	// Nothing of it is noticed by who publishes meanwhile.
	for _, space := range []int{2, 1} {
		m.inUse(space)
		revision := put(t, c, m.spec)
		for done := false; !done; {
			m.publish()
			done = status(t, c, "moving").Revision >= revision
		}
		m.settle()
		m.are(space == 2, space == 2, event.Streams[:]...)
		m.publish()
		m.everything(fmt.Sprintf("format %d", space))
	}
}

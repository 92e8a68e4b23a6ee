package registry

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/tenants/account"
)

// Two nodes change the same thing at the same revision: one wins, the other gets
// an error, and nothing is half done.
func TestSecondWriterOfARevisionIsAConflict(t *testing.T) {
	a, b, _ := pair(t)
	ctx := testContext(t)
	rev, err := a.Specs.Put(ctx, spec(t, "acme"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Specs.Put(ctx, spec(t, "acme"), 0); !fault.Is(err, fault.Conflict) {
		t.Errorf("a tenant that exists was made again: %v", err)
	}
	changed := spec(t, "acme")
	changed.Name = "of a"
	if rev, err = a.Specs.Put(ctx, changed, rev); err != nil {
		t.Fatal(err)
	}
	other := spec(t, "acme")
	other.Name = "of b"
	_, err = b.Specs.Put(ctx, other, rev-1)
	if !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("an old revision was written over: %v", err)
	}
	if got := view(t, b, rev).Tenants["acme"].Spec.Name; got != "of a" {
		t.Errorf("the registry has the name %q", got)
	}
	if _, err := a.Specs.Put(ctx, other, rev+100); !fault.Is(err, fault.Conflict) {
		t.Errorf("a revision that does not exist yet: %v", err)
	}
}

func TestOfManyWhoCreateOneUserExactlyOneDoes(t *testing.T) {
	a, b, _ := pair(t)
	ctx := testContext(t)
	var won, conflicts atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		r := []*Registry{a, b}[i%2]
		wg.Go(func() {
			_, err := r.Users.Create(ctx, "acme", User{Name: "one", Role: account.RoleReader, PublicKey: fmt.Sprint(i)})
			switch {
			case err == nil:
				won.Add(1)
			case fault.Is(err, fault.Conflict):
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || conflicts.Load() != 15 {
		t.Fatalf("%d won, %d conflicts", won.Load(), conflicts.Load())
	}
}

// Counting by compare-and-set from two nodes at once loses no step.
func TestCompareAndSetLosesNoUpdate(t *testing.T) {
	a, b, _ := pair(t)
	ctx := testContext(t)
	const each = 30
	var wg sync.WaitGroup
	for _, r := range []*Registry{a, b} {
		wg.Go(func() {
			for done := 0; done < each; {
				n, rev := 0, uint64(0)
				if e, ok := r.Status.Get("count"); ok {
					rev = e.Revision
					_, _ = fmt.Sscan(string(e.Value), &n)
				}
				next, err := r.CASStatus(ctx, "count", n+1, rev)
				if err == nil {
					done++
				} else if fault.Is(err, fault.Conflict) {
					next = rev + 1
				} else {
					t.Error(err)
					return
				}
				if err := r.Status.Wait(ctx, next); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, r := range []*Registry{a, b} {
		if err := r.Status.Wait(ctx, 2*each); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := Get[int](r, "count"); n != 2*each {
			t.Fatalf("counted to %d, want %d", n, 2*each)
		}
	}
}

// The server says in two ways, and the client in a third, that a
// compare-and-set was lost; nothing else is a conflict.
func TestLostKnowsEveryWayToSayIt(t *testing.T) {
	code := func(n jetstream.ErrorCode) error {
		return fmt.Errorf("put: %w", &jetstream.APIError{Code: 400, ErrorCode: n})
	}
	for _, err := range []error{jetstream.ErrKeyExists, fmt.Errorf("x: %w", jetstream.ErrKeyExists), code(10071), code(10164)} {
		if !lost(err) {
			t.Errorf("%v is a lost compare-and-set", err)
		}
	}
	for _, err := range []error{nil, errors.New("other"), nats.ErrTimeout, code(10077), code(10158), jetstream.ErrKeyNotFound} {
		if lost(err) {
			t.Errorf("%v is no lost compare-and-set", err)
		}
	}
}

// What one node stored, another sees after Fresh; without a server it says so.
func TestFreshSeesWhatAnotherNodeStored(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	master := account.NewMasterKey()
	a, b := open(t, connect(t, s), master), open(t, connect(t, s), master)
	ctx := testContext(t)
	for i := range 50 {
		id := fmt.Sprintf("t-%d", i)
		if _, err := a.Specs.Put(ctx, spec(t, id), 0); err != nil {
			t.Fatal(err)
		}
		if err := b.Fresh(ctx); err != nil {
			t.Fatal(err)
		}
		if b.View().Tenants[spec(t, id).ID] == nil {
			t.Fatalf("%s is not there", id)
		}
		if err := b.Specs.Delete(ctx, spec(t, id).ID, b.View().Tenants[spec(t, id).ID].SpecRevision); err != nil {
			t.Fatal(err)
		}
		if err := a.Fresh(ctx); err != nil {
			t.Fatal(err)
		}
		if a.View().Tenants[spec(t, id).ID] != nil {
			t.Fatalf("%s is still there", id)
		}
	}
	stop(s)
	if err := b.Fresh(ctx); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without a server: %v", err)
	}
}

// Opening again finds the buckets as they are.
func TestOpenAgainKeepsWhatIsThere(t *testing.T) {
	a, b, _ := pair(t)
	ctx := testContext(t)
	rev, err := a.Specs.Put(ctx, spec(t, "acme"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if view(t, b, rev).Tenants["acme"] == nil {
		t.Fatal("the second registry is another one")
	}
	if _, _, ok := Get[Lease](a, KeyLease); ok {
		t.Fatal("there is a lease that no node took")
	}
}

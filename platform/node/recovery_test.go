package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// late returns a recovery of a server that started at a time, and that has been
// given the JWT of an account afterwards.
func late(t *testing.T, started time.Time, known, stored bool) (*recovery, string) {
	t.Helper()
	tk, token := newKeys(t).tenant(t, "acme")
	dir := t.TempDir()
	if stored {
		if err := os.MkdirAll(filepath.Join(dir, server.JetStreamStoreDir, tk.Public), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var r recovery
	if err := r.begin(map[string]bool{tk.Public: known}, dir); err != nil {
		t.Fatal(err)
	}
	r.started = started
	r.applied(tk.Public, token)
	r.applied(tk.Public, token)
	return &r, tk.Public
}

// Only an account that is older than the start, and that the server did not know
// then, is looked at: a new tenant never is.
func TestOnlyOldAccountsThatCameLateAreLookedAt(t *testing.T) {
	now := time.Now()
	before, after := now.Add(-time.Hour), now.Add(time.Hour)
	for name, x := range map[string]struct {
		started       time.Time
		known, stored bool
		want          bool
	}{
		"a new tenant":                              {before, false, false, false},
		"signed in the second of the start":         {now, false, false, false},
		"known when the server started":             {after, true, true, false},
		"signed before the start":                   {after, false, false, true},
		"signed again, but its streams are on disk": {before, false, true, true},
	} {
		r, key := late(t, x.started, x.known, x.stored)
		looked := false
		r.look(now, func(k string) ([]string, bool) { looked = k == key; return nil, false })
		if looked != x.want {
			t.Errorf("%s: looked at: %t", name, looked)
		}
	}
}

func TestStreamsMustBeMissingForAWhileWithoutABreak(t *testing.T) {
	now := time.Now()
	r, key := late(t, now.Add(time.Hour), false, false)
	at := func(after time.Duration, known bool, streams ...string) bool {
		t.Helper()
		got, _ := r.look(now.Add(after), func(string) ([]string, bool) { return streams, known })
		return got == key
	}
	for _, x := range []struct {
		after   time.Duration
		known   bool
		streams []string
		want    bool
	}{
		{0, true, []string{"EVENTS"}, false},
		{recoveryWithin - 1, true, []string{"EVENTS"}, false},
		{recoveryWithin, false, nil, false}, // it does not know: the time counts from the beginning
		{recoveryWithin + 1, true, []string{"STATE"}, false},
		{2 * recoveryWithin, true, []string{"STATE"}, false},
		{2*recoveryWithin + 1, true, []string{"STATE"}, true},
	} {
		if got := at(x.after, x.known, x.streams...); got != x.want {
			t.Errorf("after %s: %t", x.after, got)
		}
	}
}

func TestAccountWhoseStreamsAreThereIsNotLookedAtAgain(t *testing.T) {
	now := time.Now()
	for name, x := range map[string]struct {
		after time.Duration
		known bool
		want  int
	}{
		"they are there":                          {0, true, 1},
		"the server does not know":                {0, false, 2},
		"the server does not know, for very long": {recoveryWatch + time.Minute, false, 1},
	} {
		r, _ := late(t, now.Add(time.Hour), false, false)
		looks := 0
		for range 2 {
			r.look(now.Add(x.after), func(string) ([]string, bool) { looks++; return nil, x.known })
		}
		if looks != x.want {
			t.Errorf("%s: %d looks, want %d", name, looks, x.want)
		}
	}
}

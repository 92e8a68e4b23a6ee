package node

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
)

// ErrRestart is what Recovered returns when only a new start of the server
// recovers the streams of an account.
var ErrRestart = errors.New("the server must be started again")

// The server recovers the streams of an account while it starts, when it
// processes their assignments. An account whose JWT it cannot get at that moment
// it leaves out, and does not come back to it when the JWT arrives: the streams'
// Raft groups are never joined. recovery notices such accounts.
type recovery struct {
	mu      sync.Mutex
	started time.Time
	known   map[string]bool // accounts whose JWT was there when the server started
	stored  map[string]bool // accounts with streams on this node's disk at that moment
	late    map[string]*lateAccount
}

// lateAccount is an account that existed before the server started, and whose
// JWT came afterwards.
type lateAccount struct {
	since   time.Time // when its JWT was applied
	missing time.Time // since when it has streams that are not recovered; zero: it has none
}

const (
	recoveryEvery = time.Second
	// recoveryWithin is how long an account's streams may be missing after its
	// JWT has been applied.
	recoveryWithin = 5 * time.Second
	// recoveryWatch is for how long after that they are looked at.
	recoveryWatch = 5 * time.Minute
)

// begin notes what is there at the moment the server starts.
func (r *recovery) begin(known map[string]bool, storeDir string) error {
	stored := map[string]bool{}
	entries, err := os.ReadDir(filepath.Join(storeDir, server.JetStreamStoreDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		stored[e.Name()] = e.IsDir()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started, r.known, r.stored, r.late = time.Now(), known, stored, map[string]*lateAccount{}
	return nil
}

// applied notes that the server has got an account's JWT. A new tenant is known
// to be new by both: it was signed after the start, and nothing of it is on disk.
func (r *recovery) applied(key, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] || r.late[key] != nil {
		return
	}
	issued, err := check(key, token)
	if err != nil {
		return // it has been checked
	}
	r.known[key] = true
	// A JWT's issue time has whole seconds.
	if r.stored[key] || issued.Before(r.started.Truncate(time.Second)) {
		r.late[key] = &lateAccount{since: time.Now()}
	}
}

// look compares what late accounts should have with what they have. It returns
// an account whose streams have been missing for too long, and their names.
func (r *recovery) look(now time.Time, missing func(key string) (streams []string, known bool)) (string, []string) {
	r.mu.Lock()
	late := maps.Clone(r.late)
	r.mu.Unlock()
	for key, a := range late {
		streams, known := missing(key)
		switch {
		case len(streams) == 0:
			a.missing = time.Time{}
		case a.missing.IsZero():
			a.missing = now
		case now.Sub(a.missing) >= recoveryWithin:
			return key, streams
		}
		if known && len(streams) == 0 || now.Sub(a.since) > recoveryWatch {
			r.mu.Lock()
			delete(r.late, key)
			r.mu.Unlock()
		}
	}
	return "", nil
}

// Recovered blocks until ctx ends, or until an account that is older than this
// start of the server turns out to have streams that the server does not
// recover: then the error is ErrRestart.
func (n *Node) Recovered(ctx context.Context) error {
	tick := time.NewTicker(recoveryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if srv := n.srv.Load(); srv != nil {
			if key, streams := n.recovery.look(time.Now(), func(key string) ([]string, bool) { return unrecovered(srv, key) }); key != "" {
				return fault.New(fault.Unavailable, "node %s: %w: it had no JWT of account %s when it started, and has not recovered the account's streams %v since the JWT came",
					n.cfg.Name, ErrRestart, key, streams)
			}
		}
	}
}

// unrecovered returns the streams of an account that are assigned to this node
// and do not take part in their Raft group, and whether the server knows: until
// it is up to date with the cluster it does not know what it should have. Health
// alone is not enough: a stream that is behind is unhealthy, too.
func unrecovered(srv *server.Server, key string) (streams []string, known bool) {
	health := srv.Healthz(&server.HealthzOptions{Account: key, Details: true})
	var suspects []string
	for _, e := range health.Errors {
		if e.Type != server.HealthzErrorStream {
			return nil, false
		}
		suspects = append(suspects, e.Stream)
	}
	if len(suspects) == 0 {
		return nil, health.StatusCode == 200
	}
	joined := map[string]bool{}
	if info, err := srv.JszAccount(&server.JSzOptions{Account: key, Streams: true}); err == nil {
		for _, s := range info.Streams {
			joined[s.Name] = s.Cluster != nil && s.Cluster.RaftGroup != ""
		}
	}
	suspects = slices.DeleteFunc(suspects, func(s string) bool { return joined[s] })
	slices.Sort(suspects)
	return suspects, true
}

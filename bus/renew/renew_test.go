package renew_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus/renew"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// Credentials are renewed before they end: the connection with the new ones is
// there before the old one goes, and it outlives the old ones.
func TestRenewsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.hold(17*time.Second, 4*time.Second)
	var used atomic.Int64
	conn := w.open(func(*nats.Conn) error { used.Add(1); return nil })
	testwait.True(t, "connected", conn.NATS().IsConnected)
	first := conn.NATS()
	w.run(conn)
	testwait.True(t, "the connection of the moment is another", func() bool {
		now := conn.NATS()
		if !now.IsConnected() {
			t.Fatal("without a connection")
		}
		return now != first
	})
	if !time.Now().Before(old.Expires) {
		t.Errorf("renewed at %s, and the old ones ended at %s", time.Now(), old.Expires)
	}
	now, err := renew.Read(w.file)
	if err != nil || now.JWT == old.JWT || now.Name != user || time.Until(now.Expires) < 59*time.Minute {
		t.Errorf("the file has %+v, %v", now, err)
	}
	testwait.True(t, "the old connection is closed", first.IsClosed)
	testwait.True(t, "the old credentials have ended", func() bool { return time.Now().After(old.Expires.Add(time.Second)) })
	if err := conn.NATS().FlushTimeout(testwait.Patience); err != nil {
		t.Errorf("after the old end: %v", err)
	}
	if n, uses := w.requests(), used.Load(); n != 1 || uses != 2 {
		t.Errorf("%d requests, %d connections were used; want 1 and 2", n, uses)
	}
}

// What is not due is left alone.
func TestWhatIsNotDueIsNotRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.open(nil)
	first := conn.NATS()
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if err := conn.Run(ctx); err != nil {
		t.Error(err)
	}
	if w.requests() != 0 || conn.NATS() != first {
		t.Errorf("%d requests", w.requests())
	}
}

// A failure is tried again, and logged once while little of the life is left.
func TestTriesAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold(90*time.Minute, 10*time.Minute)
	w.answers(func(n int) (any, error) {
		if n <= 2 {
			return nil, fault.New(fault.Unavailable, "the registry has no quorum")
		}
		return w.renewed(user, time.Hour), nil
	})
	conn := w.open(nil)
	first := conn.NATS()
	testwait.True(t, "connected", first.IsConnected)
	w.run(conn)
	testwait.True(t, "renewed", func() bool { return conn.NATS() != first })
	if n := w.requests(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	if n := w.log.count("credentials not renewed"); n != 1 || w.log.count("no quorum") != 1 || w.log.count("level=WARN") != 1 {
		t.Errorf("logged %d times:\n%s", n, w.log)
	}
}

// A refusal changes nothing: the connection and the file stay, an error is
// logged once, and it is tried on, since an operator may undo the reason.
func TestARefusalChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold(90*time.Minute, 10*time.Minute)
	before := must(os.ReadFile(w.file))(t)
	w.answers(func(int) (any, error) {
		return nil, fault.WithHint(fault.New(fault.Denied, "user %s was revoked", user), "make another")
	})
	conn := w.open(nil)
	first := conn.NATS()
	testwait.True(t, "connected", first.IsConnected)
	w.run(conn)
	testwait.True(t, "asked twice", func() bool { return w.requests() >= 2 })
	if conn.NATS() != first || !first.IsConnected() {
		t.Error("the connection was given up")
	}
	if now := must(os.ReadFile(w.file))(t); !bytes.Equal(now, before) {
		t.Error("the file was written")
	}
	if n := w.log.count("was revoked"); n != 1 || w.log.count("level=ERROR") != 1 || w.log.count(`hint="make another"`) != 1 {
		t.Errorf("logged %d times:\n%s", n, w.log)
	}
	w.answers(func(int) (any, error) { return w.renewed(user, time.Hour), nil })
	testwait.True(t, "renewed after all", func() bool { return conn.NATS() != first })
}

// An answer that is not for this user, or that is no JWT, is not written.
func TestAWrongAnswerIsNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := must(os.ReadFile(w.file))(t)
	conn := w.open(nil)
	testwait.True(t, "connected", conn.NATS().IsConnected)
	for what, x := range map[string]struct {
		answer any
		err    error
		want   fault.Kind
	}{
		"another's JWT": {w.renewed("syd-02", time.Hour), nil, fault.Other},
		"no JWT":        {api.Renewed{JWT: "hello"}, nil, fault.Invalid},
		"nothing":       {api.Renewed{}, nil, fault.Invalid},
		"a refusal":     {nil, fault.New(fault.Denied, "no"), fault.Denied},
	} {
		w.answers(func(int) (any, error) { return x.answer, x.err })
		if _, err := renew.Once(t.Context(), conn.NATS(), w.file); !fault.Is(err, x.want) {
			t.Errorf("%s: %v, want %s", what, err, x.want)
		}
		if now := must(os.ReadFile(w.file))(t); !bytes.Equal(now, before) {
			t.Errorf("%s: the file was written", what)
		}
	}
}

// The file is replaced as a whole: a reader finds at any moment one JWT and the
// key, it stays the owner's alone, and nothing is left beside it.
func TestTheFileIsReplacedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := must(account.ReadCreds(must(os.ReadFile(w.file))(t)))(t).Seed
	conn := w.open(nil)
	testwait.True(t, "connected", conn.NATS().IsConnected)
	ctx, stop := context.WithCancel(t.Context())
	looked, done := 0, make(chan error, 1)
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; looked++ {
			data, err := os.ReadFile(w.file)
			if err == nil {
				var got account.Creds
				if got, err = account.ReadCreds(data); err == nil && !bytes.Equal(got.Seed, seed) {
					err = errors.New("it holds another key")
				}
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for range 50 {
		want := must(renew.Once(t.Context(), conn.NATS(), w.file))(t)
		if got := must(renew.Read(w.file))(t); got != want {
			t.Errorf("the file has %+v, want %+v", got, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("in between: %v", err)
	}
	t.Logf("read %d times", looked)
	if info := must(os.Stat(w.file))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	if files := must(filepath.Glob(filepath.Join(filepath.Dir(w.file), "*")))(t); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

// Credentials that another program has renewed are taken from the file.
func TestTakesWhatAnotherProgramRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold(90*time.Minute, 10*time.Minute)
	conn := w.open(nil)
	first := conn.NATS()
	testwait.True(t, "connected", first.IsConnected)
	w.hold(0, time.Hour)
	w.run(conn)
	testwait.True(t, "the connection of the moment is another", func() bool { return conn.NATS() != first })
	if n := w.requests(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// When the new connection cannot be used the old one stays, and it is tried
// again with the credentials that are in the file already.
func TestTheOldConnectionStaysUntilTheNewOneIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold(90*time.Minute, 10*time.Minute)
	var used atomic.Int64
	conn := w.open(func(nc *nats.Conn) error {
		if used.Add(1) == 2 {
			return fmt.Errorf("no subscription")
		}
		return nil
	})
	first := conn.NATS()
	testwait.True(t, "connected", first.IsConnected)
	w.run(conn)
	testwait.True(t, "refused once", func() bool { return used.Load() >= 2 })
	if conn.NATS() == first && !first.IsConnected() {
		t.Error("the old connection was given up before there was another")
	}
	testwait.True(t, "the connection of the moment is another", func() bool { return conn.NATS() != first })
	if n := w.requests(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// Credentials that ended while the program was away cannot be renewed; the log
// has what an operator can do.
func TestCredentialsThatHaveEndedAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold(2*time.Hour, -2*time.Minute)
	conn := w.open(nil)
	w.run(conn)
	testwait.True(t, "an error is logged", func() bool { return w.log.count("were not renewed in time") > 0 })
	if w.log.count("level=ERROR") != 1 || w.log.count("midplane token create") != 1 {
		t.Errorf("logged:\n%s", w.log)
	}
	if n := w.requests(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

package consume

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/primary/store/sqlite"
)

// restorable is a server whose data can be put back to an older copy.
type restorable struct {
	t         *testing.T
	dir, copy string
	port      int
	srv       *server.Server
}

func newRestorable(t *testing.T) *restorable {
	t.Helper()
	r := &restorable{t: t, dir: filepath.Join(t.TempDir(), "js"), copy: filepath.Join(t.TempDir(), "copy")}
	r.srv = startServer(t, r.dir, -1)
	r.port = r.srv.Addr().(*net.TCPAddr).Port
	return r
}

func (r *restorable) stop() {
	r.srv.Shutdown()
	r.srv.WaitForShutdown()
}

func (r *restorable) start() { r.srv = startServer(r.t, r.dir, r.port) }

func (r *restorable) save() {
	r.t.Helper()
	r.stop()
	if err := os.CopyFS(r.copy, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

// restore puts the data back; the server is stopped then.
func (r *restorable) restore() {
	r.t.Helper()
	r.stop()
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Fatal(err)
	}
	if err := os.CopyFS(r.dir, os.DirFS(r.copy)); err != nil {
		r.t.Fatal(err)
	}
}

func stored(t *testing.T, db *sqlite.DB) map[string]int {
	t.Helper()
	out := map[string]int{}
	for after := ""; ; {
		page := ok(db.Reader.Events(context.Background(), api.EventRequest{After: after, Limit: 1000}))(t)
		for _, row := range page.Items {
			out[row.ID]++
		}
		if after = page.Next; after == "" {
			return out
		}
	}
}

// A stream is put back to an older copy, and other messages get the sequences that the
// primary has read: all that is stored since is read, nothing twice, and one alarm
// names what was read and is no longer there. It makes no difference whether the
// primary reads meanwhile, and whether the stream has grown past its cursor by then.
func TestAnotherHistoryIsRead(t *testing.T) {
	for _, tc := range []struct {
		running bool
		others  int
	}{{true, 30}, {true, 80}, {false, 30}, {false, 80}} {
		t.Run(fmt.Sprintf("running %v, %d others", tc.running, tc.others), func(t *testing.T) {
			s := newRestorable(t)
			e := eventsOf(t, s.srv)
			b, db := newBatch(t, e, nil)
			var stop func()
			read := func() {
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- b.r.run(ctx, e.js.Conn(), e.js) }()
				stop = func() { cancel(); <-ended }
			}
			has := func(last uint64) {
				t.Helper()
				testwait.Until(t, fmt.Sprintf("%d events are read", last), func() error {
					got := stored(t, db)
					for i := uint64(1); i <= last; i++ {
						if n := got[fmt.Sprintf("syd-01/1/EVENTS/%d", i)]; n != 1 {
							return fmt.Errorf("event %d is there %d times: %+v", i, n, b.r.status())
						}
					}
					return nil
				})
			}
			put := func(n int) {
				for range n {
					e.put()
				}
			}
			read()
			defer func() { stop() }()
			put(100)
			has(100)
			s.save()
			testwait.True(t, "it is connected again", e.js.Conn().IsConnected)
			put(50)
			has(150)
			if ids := found(t, db); len(ids) != 0 {
				t.Fatalf("a restart of the server is %q", ids)
			}
			if !tc.running {
				stop()
			}
			s.restore()
			s.start()
			testwait.True(t, "it is connected again", e.js.Conn().IsConnected)
			put(tc.others)
			if !tc.running {
				read()
			}
			has(150 + uint64(tc.others))
			put(10)
			has(160 + uint64(tc.others))
			ids := found(t, db)
			if len(ids) != 1 || !strings.HasPrefix(ids[0], "history/EVENTS/1/") {
				t.Fatalf("found %q", ids)
			}
			for _, f := range ok(db.Writer.Unreported(context.Background(), 10))(t) {
				if f.Alarm.From > 101 || f.Alarm.To != 150 {
					t.Errorf("the alarm names %d to %d", f.Alarm.From, f.Alarm.To)
				}
			}
			if c := ok(db.Writer.Cursors(context.Background(), "acme"))(t)[event.StreamEvents]; c.Histories != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// What the trimmer purges is no other history, also when it is all that was read.
func TestPurgedIsNoOtherHistory(t *testing.T) {
	e := newEvents(t)
	b, db := newBatch(t, e, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.r.run(ctx, e.js.Conn(), e.js) }()
	for range 100 {
		e.put()
	}
	testwait.True(t, "they are read", func() bool { return b.r.status().cursor.Seq == 100 })
	cancel()
	<-ended
	for _, to := range []uint64{50, 100, 101} {
		e.purge(to)
		c, err := b.r.begin(context.Background(), e.js.Conn(), e.js, 1)
		if err != nil || c.Seq != 100 || c.Histories != 0 {
			t.Errorf("purged to %d: %+v %v", to, c, err)
		}
	}
	if ids := found(t, db); len(ids) != 0 {
		t.Errorf("found %q", ids)
	}
}

package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/telemetry"
)

// breaksAfter answers the first question and no other.
type breaksAfter struct {
	*fake
	n *int
}

func (b breaksAfter) Query(ctx context.Context, verb string, req, resp any) error {
	if *b.n++; *b.n > 1 {
		return errTest
	}
	return b.fake.Query(ctx, verb, req, resp)
}

// message is one Server-Sent Event.
type message struct{ id, name, data string }

// listen opens an event stream and returns how to read the next message of a
// name, and how to leave.
func listen(t *testing.T, url string, header ...string) (next func(name string) message, leave func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Fatalf("%s: %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	return func(name string) message {
		t.Helper()
		var m message
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				m.id = value
			case "event":
				m.name = value
			case "data":
				m.data = value
			case "":
				if m.name == name {
					return m
				}
				m = message{}
			}
		}
		t.Fatalf("the stream ended before %q: %v", name, lines.Err())
		return m
	}, cancel
}

func quick(c *Console) {
	c.live.pace = pace{beat: 20 * time.Millisecond, retryMin: time.Millisecond, retryMax: 5 * time.Millisecond}
}

func text(t *testing.T, m message) string {
	t.Helper()
	var e api.Event
	if err := json.Unmarshal([]byte(m.data), &e); err != nil {
		t.Fatalf("%v in %s", err, m.data)
	}
	if m.id != fmt.Sprint(e.Position) {
		t.Errorf("id %q of position %d", m.id, e.Position)
	}
	return e.Message
}

func TestStreamDeliversWhatHappens(t *testing.T) {
	src := newFake()
	src.happen("before")
	url := open(t, Config{}, src, quick) + "/api/v1/events/stream"
	next, _ := listen(t, url)
	src.happen("one", "two\nlines")
	for _, want := range []string{"one", "two\nlines"} {
		if got := text(t, next("event")); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	src.happen("three")
	if got := text(t, next("event")); got != "three" {
		t.Errorf("got %q", got)
	}
	var beat Beat
	if err := json.Unmarshal([]byte(next("beat").data), &beat); err != nil || beat.Failing || time.Since(beat.Time) > time.Minute {
		t.Errorf("beat %+v (%v)", beat, err)
	}
}

func TestStreamGoesOnWhereItWas(t *testing.T) {
	src := newFake()
	src.happen("one", "two", "three")
	url := open(t, Config{}, src, quick) + "/api/v1/events/stream"
	next, _ := listen(t, url+"?after=1")
	if got := text(t, next("event")); got != "two" {
		t.Errorf("after 1: %q", got)
	}
	next, _ = listen(t, url+"?after=0", "Last-Event-ID", "2")
	if got := text(t, next("event")); got != "three" {
		t.Errorf("a browser that comes back: %q", got)
	}
	empty := newFake()
	next, _ = listen(t, open(t, Config{}, empty, quick)+"/api/v1/events/stream")
	empty.happen("first")
	if got := text(t, next("event")); got != "first" {
		t.Errorf("an empty log: %q", got)
	}
}

// While the primary is away the stream lives, says so, and misses nothing.
func TestStreamOutlivesTheSource(t *testing.T) {
	src := newFake()
	src.happen("one")
	src.fail(api.EventFollow, fault.WithHint(fault.New(fault.Unavailable, "no one answers"), "start a primary"))
	next, _ := listen(t, open(t, Config{}, src, quick)+"/api/v1/events/stream?after=1")
	if got := next("problem").data; got != `{"code":"unavailable","message":"no one answers","hint":"start a primary"}` {
		t.Errorf("problem %s", got)
	}
	for !strings.Contains(next("beat").data, `"failing":true`) {
	}
	src.happen("in between")
	src.fail(api.EventFollow, nil)
	if got := text(t, next("event")); got != "in between" {
		t.Errorf("got %q", got)
	}
	for !strings.Contains(next("beat").data, `"failing":false`) {
	}
}

func TestStreamFromNowNeedsTheSource(t *testing.T) {
	src := newFake()
	src.fail(api.EventList, fault.New(fault.Unavailable, "no one answers"))
	if status, _, body := ask(t, open(t, Config{}, src, quick)+"/api/v1/events/stream"); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, body)
	}
}

// What can never be answered ends the stream, after saying why.
func TestStreamEndsWhenAskingIsVain(t *testing.T) {
	src := newFake()
	src.fail(api.EventFollow, fault.New(fault.NotFound, "no such tenant"))
	status, _, body := ask(t, open(t, Config{}, src, quick)+"/api/v1/events/stream?after=1&tenant=gone")
	if status != http.StatusOK || !strings.Contains(body, "event: problem\n") || !strings.Contains(body, "no such tenant") {
		t.Errorf("%d %s", status, body)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	for name, limit := range map[string]func(*Console){
		"all": func(c *Console) { c.live.limiter.most = 1 }, "one identity": func(c *Console) { c.live.limiter.each = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			streamsAreLimited(t, open(t, Config{}, newFake(), quick, limit)+"/api/v1/events/stream")
		})
	}
}

func streamsAreLimited(t *testing.T, url string) {
	t.Helper()
	next, leave := listen(t, url)
	next("beat")
	if status, h, body := ask(t, url); status != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
		t.Fatalf("%d %s", status, body)
	}
	leave()
	for deadline := time.Now().Add(10 * time.Second); ; {
		status, _, body := ask(t, url, func(r *http.Request) { r.Method = http.MethodHead })
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a stream that ended is still counted: %d %s", status, body)
		}
	}
}

// Stopping the console must not wait for its readers.
func TestStopEndsStreams(t *testing.T) {
	c, err := New(guarded(t, Config{Addr: "127.0.0.1:0"}), newFake(), telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if err := c.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	next, _ := listen(t, "http://"+c.Addr()+"/api/v1/events/stream")
	next("beat")
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(4 * time.Second): // less than what requests are given
		t.Fatal("it waits for its readers")
	}
	http.DefaultClient.CloseIdleConnections()
}

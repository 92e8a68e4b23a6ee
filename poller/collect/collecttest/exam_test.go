package collecttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/poller/collect"
)

// The exam sits an exam: a good collector passes, and each bad one fails with
// the sentence that names what is wrong with it.

type behave func(ctx context.Context, t collect.Target, emit collect.Emit) error

func (b behave) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	return b(ctx, t, emit)
}

func good(ctx context.Context, t collect.Target, emit collect.Emit) error {
	p := collect.ReadParams(t, "mood")
	mood := p.String("mood", "fine")
	if err := p.Err(); err != nil {
		return err
	}
	r := collect.NewResult(t, "somewhere", false)
	switch mood {
	case "fine":
		r.Answered = true
	case "ill":
		r.Set(event.CheckCritical, "it is ill")
	case "silent":
		select {
		case <-ctx.Done():
		case <-time.After(t.Timeout):
			r.Set(event.CheckCritical, "it is silent")
		}
	}
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	return emit(ctx, r.Events(t)...)
}

const secret = "planted-secret-4711"

var bad = map[string]struct {
	collect behave
	says    string
}{
	"tells a type that is not in the catalogue": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return emit(ctx, collect.State(t.Entity(), "acme.custom.v1", struct{}{}))
	}, "is not a type for collectors"},
	"tells a payload that breaks its schema": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return emit(ctx, collect.State(t.Entity(), event.TypeCheck, event.Check{Status: "splendid"}))
	}, "breaks its schema"},
	"speaks of another device": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return emit(ctx, collect.Metric("other", event.TypePing, event.Ping{}))
	}, "is not of device"},
	"tells a metric as a state": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return emit(ctx, collect.State(t.Device, event.TypePing, event.Ping{}))
	}, "the catalogue says metric"},
	"speaks of new entities every time": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		id := event.Entity(fmt.Sprint(time.Now().UnixNano()))
		return emit(ctx, collect.Metric(t.Device.Check(string(id)), event.TypeTiming, event.Timing{}))
	}, "second run"},
	"ignores its context": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return good(context.WithoutCancel(ctx), t, emit)
	}, "it has not ended after"},
	"leaves a goroutine": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		go time.Sleep(time.Hour)
		return good(ctx, t, emit)
	}, "found unexpected goroutines"},
	"tells a secret": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return fmt.Errorf("wrong password %s", secret)
	}, "secret number 1 is in what it says"},
	"prints a secret": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		fmt.Println(secret)
		return good(ctx, t, emit)
	}, "secret number 1 is in what it prints"},
	"sees nothing wrong": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		t.Params = nil
		return good(ctx, t, emit)
	}, "neither a finding nor an error"},
	"swallows that nothing was kept": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		_ = good(ctx, t, emit)
		return nil
	}, "emit failed, Collect returned <nil>"},
	"ignores what it does not know": {func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		t.Params = map[string]string{"mood": t.Params["mood"]}
		return good(ctx, t, emit)
	}, "want Invalid that names the parameter"},
}

const candidate = "MIDPLANE_EXAM_CANDIDATE"

// TestCandidate is the exam of one candidate, in a process of its own when it
// is a bad one.
func TestCandidate(t *testing.T) {
	collector := behave(good)
	if name := os.Getenv(candidate); name != "" {
		collector = bad[name].collect
	}
	target := func(mood string) func(*testing.T) collect.Target {
		return func(*testing.T) collect.Target {
			return collect.Target{Device: "d", Address: "127.0.0.1", Check: "c", Collector: "candidate",
				Timeout: time.Second, Params: map[string]string{"mood": mood}}
		}
	}
	Run(t, Exam{Collector: collector, Working: target("fine"), Broken: target("ill"), Silent: target("silent"),
		Types: []event.Type{event.TypeCheck, event.TypeTiming}, Secrets: []string{secret}})
}

func TestBadCollectorsFail(t *testing.T) {
	if os.Getenv(candidate) != "" {
		return // this is the process of a candidate
	}
	for name, tt := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestCandidate$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), candidate+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("it passes")
			}
			if !strings.Contains(string(out), tt.says) {
				t.Errorf("it fails, but without %q:\n%s", tt.says, out)
			}
		})
	}
}

package connect

import (
	"context"
	"errors"
	"testing"
	"time"

	"midplane/fault"
)

func TestUntilGivesUp(t *testing.T) {
	err := Until(context.Background(), 10*time.Millisecond, func(context.Context) (bool, error) {
		return false, fault.New(fault.Unavailable, "no answer")
	})
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
	denied := fault.New(fault.Denied, "no")
	if err := Until(context.Background(), time.Minute, func(context.Context) (bool, error) { return false, denied }); !errors.Is(err, denied) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Until(ctx, time.Minute, func(context.Context) (bool, error) { return false, ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

package shell

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"midplane/fault"
)

// The table of exit codes is a contract.
func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{fault.New(fault.Other, "x"), 1},
		{fault.New(fault.Invalid, "x"), 2},
		{fault.New(fault.Denied, "x"), 3},
		{fault.New(fault.NotFound, "x"), 4},
		{fault.New(fault.Conflict, "x"), 5},
		{fault.New(fault.Unavailable, "x"), 6},
		{fault.New(fault.Exhausted, "x"), 6},
		{context.DeadlineExceeded, 6},
		{Exit(1), 1},
		{fmt.Errorf("wrapped: %w", fault.New(fault.Conflict, "x")), 5},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}

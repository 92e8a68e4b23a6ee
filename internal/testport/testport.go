// Package testport gives tests a port of loopback that stays theirs while the
// server that listens there is stopped and started again.
package testport

import (
	"testing"

	"midplane/internal/ports"
)

// Reserve returns a port that nothing else takes until the test ends.
func Reserve(t testing.TB) int {
	t.Helper()
	var r ports.Reserved
	got, err := r.Reserve(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // nothing was connected to it
	return got[0]
}

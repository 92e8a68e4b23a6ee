// Package storetest is the exam that every store of a primary passes. An
// implementation's test says how to open a database and how to write out what
// is in it, and calls Run; the exam folds messages and asks for what package
// store promises: what was folded is there, once, and after a restart; answers
// are complete, in order, bounded, and silent about what was deleted; an error
// changes nothing.
//
// It is for tests only. It may import store and what is below it.
package storetest

import (
	"context"
	"testing"
	"time"

	"midplane/primary/store"
)

// Writer is a store as it is given to those who read the streams.
type Writer interface {
	store.Folder
	store.Tenants
	store.Findings
	store.Pruner
}

// Reader is a store as it is given to those who answer questions.
type Reader interface {
	store.Inventory
	store.Lanes
	store.Accounts
	store.EventLog
	store.Troubles
}

// Store is an open database.
type Store struct {
	Writer
	Reader
	Close func() error
}

// Exam is what an implementation's test declares.
type Exam struct {
	// Open opens the database in dir, or makes it when dir has none.
	Open func(t *testing.T, dir string, opts store.Options) Store
	// Dump writes out what the database in dir holds, but for what depends on
	// how messages were cut into batches. The database is closed.
	Dump func(t *testing.T, dir string) string
}

// Run holds the exam.
func Run(t *testing.T, e Exam) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, e Exam)
	}{
		{"Devices", devices},
		{"TwoPollers", twoPollers},
		{"Accounts", accounts},
		{"Metrics", metrics},
		{"Histories", histories},
		{"LateSamples", lateSamples},
		{"EndedSeries", endedSeries},
		{"Runs", runs},
		{"CountersList", countersList},
		{"Lanes", lanes},
		{"Paging", paging},
		{"Names", names},
		{"Narrowed", narrowed},
		{"LookingOn", lookingOn},
		{"DeviceChanges", deviceChanges},
		{"EventFilters", eventFilters},
		{"PagesFit", pagesFit},
		{"Changed", changed},
		{"Sites", sites},
		{"Begin", begin},
		{"TenantAgain", tenantAgain},
		{"Prune", prune},
		{"Refused", refused},
		{"Restarts", restarts},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, e) })
	}
}

// open opens a database that is closed when the test ends.
func (e Exam) open(t *testing.T, opts store.Options) Store {
	t.Helper()
	s := e.Open(t, t.TempDir(), opts)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var ctx = context.Background()

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ok returns v, or ends the test.
func ok[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

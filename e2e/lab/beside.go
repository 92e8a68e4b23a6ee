package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// register is the name of the workload whose history is checked with a library that
// only tests may import.
const register = "register"

// Workload is what runs beside the set while faults last, and is held against what
// is left of it.
type Workload interface {
	Name() string
	// Declare says what it needs before the deployment starts: users, and more of the
	// tenant's file.
	Declare(w *World)
	// Run works until ctx ends.
	Run(ctx context.Context, w *World) error
	// Judge looks once status finds nothing wrong, while the nodes run.
	Judge(ctx context.Context, w *World) Part
}

// Part is what one workload came to.
type Part struct {
	Figures  string // figures
	Findings []string
}

func (p *Part) find(format string, args ...any) {
	p.Findings = append(p.Findings, fmt.Sprintf(format, args...))
}

// mostFindings of one workload are shown: the first ones say what is wrong.
const mostFindings = 10

// take adds a workload's part to the verdict.
func (v *Verdict) take(name string, p Part, took time.Duration) {
	v.Beside = append(v.Beside, fmt.Sprintf("%s: %s (looked for %.1f s)", name, p.Figures, took.Seconds()))
	for i, f := range p.Findings {
		if i == mostFindings {
			v.find("%s: and %d more", name, len(p.Findings)-i)
			break
		}
		v.find("%s: %s", name, f)
	}
}

// work runs the set and what is beside it until ctx ends.
func (w *World) work(ctx context.Context) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	run := func(name string, f func(context.Context, *World) error) {
		wg.Go(func() {
			if err := f(ctx, w); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	run("set", w.set.run)
	if len(w.beside) > 0 {
		run("truth", w.truth.watch)
	}
	for _, b := range w.beside {
		run(b.Name(), b.Run)
	}
	wg.Wait()
	return errors.Join(failed...)
}

// indented is text for the tenant's file, some levels deeper.
func indented(levels int, lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.Repeat("  ", levels) + l + "\n")
	}
	return b.String()
}

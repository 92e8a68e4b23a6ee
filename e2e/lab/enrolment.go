package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/poller/join"
	"midplane/telemetry"
	"midplane/tenants/enrol"
)

const (
	enrolment = "enrolment"
	// claimants are the machines that use one token at the same time.
	claimants = 2
)

// Enrolment has tokens made and lets two machines use each at the same time. One of
// them, and no more than one, becomes the poller.
type Enrolment struct {
	tokens []claimed
}

// claimed is what became of one token.
type claimed struct {
	id     string
	errs   [claimants]error // nil: that machine has the identity
	status string           // as "token list" says in the end
}

// Name is the workload's.
func (e *Enrolment) Name() string { return enrolment }

// Declare needs nothing: a poller that no file declares may join.
func (e *Enrolment) Declare(*World) {}

// Run uses one token after the other until ctx ends; the one that is in use then is
// finished.
func (e *Enrolment) Run(ctx context.Context, w *World) error {
	for i := 1; ctx.Err() == nil; i++ {
		var made struct{ ID, Token string }
		err := w.sys.Await(ctx, func(ctx context.Context) error {
			out, err := w.sys.Run(ctx, "token", "create", "--tenant", tenant, "--poller", fmt.Sprintf("claim-%d", i), "-o", "json")
			if err != nil {
				return err
			}
			return json.Unmarshal(out, &made)
		})
		if err != nil {
			return nil // ctx ended
		}
		token, err := enrol.Parse(made.Token)
		if err != nil {
			return err
		}
		got := claimed{id: made.ID}
		var wg sync.WaitGroup
		for m := range claimants {
			dir := filepath.Join(w.sys.Dir, fmt.Sprintf("claim-%d-%d", i, m))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			wg.Go(func() { got.errs[m] = claim(dir, token) })
		}
		wg.Wait()
		e.tokens = append(e.tokens, got)
		_ = wait.For(ctx, time.Second) // the loop ends with it
	}
	return nil
}

// claim joins, and tries again while there is no answer.
func claim(dir string, token enrol.Token) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, err := join.Join(ctx, dir, token, telemetry.Nop())
		if !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return err
		}
	}
}

// Judge looks at what the control plane says of each token.
func (e *Enrolment) Judge(ctx context.Context, w *World) (p Part) {
	status := map[string]string{}
	if err := w.sys.Await(ctx, func(ctx context.Context) error {
		out, err := w.sys.Run(ctx, "token", "list", "--tenant", tenant, "-o", "json")
		if err != nil {
			return err
		}
		var rows []api.Token
		if err := json.Unmarshal(out, &rows); err != nil {
			return err
		}
		for _, r := range rows {
			status[r.ID] = r.Status
		}
		return nil
	}); err != nil {
		p.find("%v", err)
		return p
	}
	for i := range e.tokens {
		e.tokens[i].status = status[e.tokens[i].id]
	}
	return oneEach(e.tokens)
}

// oneEach: every token has made exactly one poller, and is known to have.
func oneEach(tokens []claimed) (p Part) {
	for _, t := range tokens {
		owners := 0
		for _, err := range t.errs {
			if err == nil {
				owners++
			}
		}
		switch {
		case owners != 1:
			p.find("token %s has made %d pollers of %d machines: %v", t.id, owners, claimants, t.errs)
		case t.status != api.TokenRedeemed:
			p.find("token %s has made a poller and is %q", t.id, t.status)
		}
	}
	if len(tokens) == 0 {
		p.find("no token was used")
	}
	p.Figures = fmt.Sprintf("%d tokens, each used by %d machines at once", len(tokens), claimants)
	return p
}

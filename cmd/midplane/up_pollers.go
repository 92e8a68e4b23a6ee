package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/poller"
	"midplane/poller/collect/all"
	"midplane/tenants/account"
)

// embedded is one poller that "up" runs itself.
type embedded struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // why it ended by itself; read after done
}

// embeddeds are the embedded pollers by tenant/poller.
type embeddeds struct {
	running map[string]*embedded
	said    map[string]string // what was logged of one that does not run
}

// trouble logs why a poller does not run, once as long as it is the same: it
// is tried again every second.
func (e *embeddeds) trouble(u *upRun, row api.Poller, err error) {
	key := row.Tenant + "/" + row.ID
	if e.said[key] == err.Error() {
		return
	}
	e.said[key] = err.Error()
	u.exp.Telemetry("up").Log.Error("an embedded poller does not run, trying on", "tenant", row.Tenant, "poller", row.ID, "error", err, "hint", fault.HintOf(err))
}

// pollers runs the pollers that the tenants' files mark as embedded, and goes
// with the files as they change.
func (u *upRun) pollers(ctx context.Context) error {
	them := embeddeds{running: map[string]*embedded{}, said: map[string]string{}}
	defer func() {
		for _, e := range them.running {
			e.stop()
		}
		for _, e := range them.running {
			<-e.done
		}
	}()
	for {
		if rows, err := api.All[api.Poller](ctx, u.Admin, api.PollerList, api.ListRequest{}); err == nil {
			u.reconcile(ctx, &them, rows)
		} else if ctx.Err() == nil {
			u.exp.Telemetry("up").Log.Debug("pollers not listed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (u *upRun) reconcile(ctx context.Context, them *embeddeds, rows []api.Poller) {
	wanted := map[string]bool{}
	for _, row := range rows {
		if !row.Embedded {
			continue
		}
		key := row.Tenant + "/" + row.ID
		wanted[key] = true
		if e := them.running[key]; e != nil {
			select {
			case <-e.done: // by itself
				delete(them.running, key)
				them.trouble(u, row, e.err)
			default:
			}
			continue // started anew at the next look
		}
		e, err := u.startPoller(ctx, row)
		if err != nil {
			them.trouble(u, row, err)
			continue
		}
		them.running[key] = e
	}
	for key, e := range them.running {
		if !wanted[key] {
			e.stop()
			<-e.done
			delete(them.running, key)
			delete(them.said, key)
		}
	}
}

func (u *upRun) startPoller(ctx context.Context, row api.Poller) (*embedded, error) {
	dir := filepath.Join(u.data, "pollers", row.Tenant, row.ID)
	creds, err := u.pollerCreds(ctx, dir, row)
	if err != nil {
		return nil, err
	}
	tel := u.exp.Telemetry("poller").With("tenant", row.Tenant)
	p, err := poller.New(poller.Config{User: row.ID, Dir: dir, CredsFile: creds, Servers: u.cluster.Servers(), Collectors: all.Collectors(), Version: u.version}, tel)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	e := &embedded{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		if e.err = p.Run(ctx); e.err == nil {
			e.err = errors.New("it ended by itself")
		}
	}()
	return e, nil
}

// pollerCreds asks for the poller's credentials with the key of the last time,
// or a new one: asking again with the same key gives them again, also after
// the tenant was deleted and made anew.
func (u *upRun) pollerCreds(ctx context.Context, dir string, row api.Poller) (string, error) {
	path := filepath.Join(dir, "poller.creds")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Wrap(fault.Other, err, "folder of poller %s", row.ID)
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		old, err := account.ReadCreds(data)
		if err != nil {
			return "", fault.WithHint(fault.Wrap(fault.Invalid, err, "%s", path), "restore the file; without it the poller must be declared under another name")
		}
		key, seed = old.PublicKey, old.Seed
	case !errors.Is(err, fs.ErrNotExist):
		return "", fault.Wrap(fault.Other, err, "credentials of poller %s", row.ID)
	default:
		// Kept before it is sent, so that a lost answer does not lose the name.
		kept, err := os.ReadFile(path + ".seed")
		switch {
		case err == nil:
			if key, err = account.PublicKey(kept); err != nil {
				return "", err
			}
			seed = kept
		case !errors.Is(err, fs.ErrNotExist):
			return "", fault.Wrap(fault.Other, err, "key of poller %s", row.ID)
		default:
			if err := replace(path+".seed", seed); err != nil {
				return "", fault.Wrap(fault.Other, err, "key of poller %s", row.ID)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var made api.CreatedUser
	req := api.CreateUser{Tenant: row.Tenant, Name: row.ID, Role: string(account.RolePoller), PublicKey: key, Subscriptions: []string{}}
	if err := u.Admin(ctx, api.UserCreate, req, &made); err != nil {
		return "", err
	}
	if data, err = account.FormatCreds(made.JWT, seed); err != nil {
		return "", err
	}
	if err := replace(path, data); err != nil {
		return "", fault.Wrap(fault.Other, err, "credentials of poller %s", row.ID)
	}
	_ = os.Remove(path + ".seed") // it is in the credentials now
	return path, nil
}

// replace writes a secret as a whole: after a kill the old or the new one is there.
func replace(path string, data []byte) error {
	_ = os.Remove(path + ".new")
	if err := writeNew(path+".new", data); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

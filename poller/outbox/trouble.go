package outbox

import (
	"fmt"
	"time"
)

// trouble is what keeps the outbox from being written, or soon may. It is
// logged when it begins and when it is over, not in between: the log may be on
// the same disk. The outbox' mutex guards it.
type trouble struct {
	since     time.Time // when writing began to fail; zero when it works
	err       error
	noBallast bool
}

// String is the trouble for a status, "" when there is none.
func (t *trouble) String() string {
	switch {
	case t.err != nil:
		return fmt.Sprintf("nothing can be kept since %s: %v", t.since.UTC().Format(time.RFC3339), t.err)
	case t.noBallast:
		return "the disk is almost full: the outbox has no ballast left"
	}
	return ""
}

// wrote notes how a commit went.
func (o *Outbox) wrote(err error) {
	o.mu.Lock()
	t := &o.trouble
	began, was := t.since, t.err
	if t.err = err; err == nil {
		t.since = time.Time{}
	} else if was == nil {
		t.since = time.Now()
	}
	o.mu.Unlock()
	switch {
	case err != nil && was == nil:
		o.tel.Log.Error("the outbox cannot be written: what is found now is not kept", "error", err,
			"hint", "free some space on the disk")
	case err == nil && was != nil:
		o.tel.Log.Info("the outbox can be written again", "after", time.Since(began).Round(time.Second))
	}
}

// noBallast notes whether the ballast is missing and reports whether that is new.
func (o *Outbox) noBallast(missing bool) (changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	changed = o.trouble.noBallast != missing
	o.trouble.noBallast = missing
	return changed
}

// makeBallast makes the ballast unless it is there.
func (o *Outbox) makeBallast() {
	err := o.ballast.make()
	switch changed := o.noBallast(err != nil); {
	case err != nil && changed:
		o.tel.Log.Warn("no room for the outbox' ballast, trying again later", "error", err)
	case err == nil && changed:
		o.tel.Log.Info("the outbox has its ballast again", "bytes", o.ballast.size)
	}
}

package access

import (
	"fmt"
	"os"
	"time"
)

// Change is something that was changed in the file, by the command line or when
// a server started. It is kept in the file until a server takes it, so that
// what was changed while none ran is recorded, too.
type Change struct {
	Time   time.Time `json:"time"`
	Verb   string    `json:"verb"`   // console.<noun>.<verb>
	Target string    `json:"target"` // name
	Tenant string    `json:"tenant,omitempty"`
	Role   Role      `json:"role,omitempty"`
	UID    int       `json:"uid"` // of the process that changed it
}

// Detail says what a change was, for a record.
func (c Change) Detail() string {
	s := fmt.Sprintf("uid=%d at=%s", c.UID, c.Time.Format(time.RFC3339))
	if c.Role != "" {
		s = "role=" + string(c.Role) + " " + s
	}
	return s
}

// maxJournal bounds what waits for a server; the oldest go first.
const maxJournal = 1000

// note writes down a change beside what it changes.
func (b *book) note(at time.Time, verb, target, tenant string, role Role) {
	b.Journal = append(b.Journal, Change{Time: at.UTC(), Verb: "console." + verb, Target: target, Tenant: tenant, Role: role, UID: os.Getuid()})
	b.Journal = b.Journal[max(0, len(b.Journal)-maxJournal):]
}

// Changes takes what was changed since it was asked last.
func (k *Keeper) Changes() (out []Change) {
	b, err := k.store.current()
	if err != nil || len(b.Journal) == 0 {
		return nil
	}
	err = k.store.change(func(b *book) error {
		out, b.Journal = b.Journal, nil
		return nil
	})
	if err != nil {
		return nil // still there for the next time
	}
	return out
}

package access

// Change is something that was changed in the file.
type Change struct {
	Verb   string // console.<noun>.<verb>
	Target string // name
	Tenant string
	Detail string // the role
}

// snapshot is what Changes compares: by kind and name, what tells one from its
// successor.
type snapshot map[[2]string]entry

type entry struct {
	mark string
	Change
}

func (b book) snapshot() snapshot {
	out := snapshot{}
	for _, u := range b.Users {
		out[[2]string{"user", u.Name}] = entry{u.Generation, Change{Target: u.Name, Tenant: u.Tenant, Detail: "role=" + string(u.Role)}}
	}
	for _, t := range b.Tokens {
		out[[2]string{"token", t.Name}] = entry{t.Hash, Change{Target: t.Name, Tenant: t.Tenant, Detail: "role=" + string(t.Role)}}
	}
	for _, l := range b.Links {
		out[[2]string{"link", l.Hash}] = entry{l.Hash, Change{Tenant: l.Tenant, Detail: "role=" + string(l.Role)}}
	}
	return out
}

// Changes returns what was changed since it was asked last. A file that cannot
// be read has not changed.
func (k *Keeper) Changes() []Change {
	b, err := k.store.current()
	if err != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := b.snapshot()
	out := []Change{}
	add := func(e entry, verb string) {
		e.Verb = verb
		out = append(out, e.Change)
	}
	for key, e := range now {
		switch was, ok := k.seen[key]; {
		case !ok:
			add(e, "console."+key[0]+".create")
		case was.mark != e.mark && key[0] == "user":
			add(e, "console.user.passwd")
		case was.mark != e.mark:
			add(e, "console."+key[0]+".replace")
		}
	}
	for key, e := range k.seen {
		if _, ok := now[key]; !ok && key[0] != "link" { // a link that is spent is a login
			add(e, "console."+key[0]+".delete")
		}
	}
	k.seen = now
	return out
}

// noted takes a user as it is now for what Changes has told already.
func (k *Keeper) noted(name string) {
	b, err := k.store.current()
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key := [2]string{"user", name}
	k.seen[key] = b.snapshot()[key]
}

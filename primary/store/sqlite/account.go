package sqlite

import (
	"context"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// ledgerNotes is what the ledger's accounts say beside what folding needs. The table is
// made at every start and is in no migration: a program of an earlier version, which a
// primary may go back to, does not know it and leaves it alone.
const ledgerNotes = `CREATE TABLE IF NOT EXISTS ledger_notes (
	tenant   TEXT NOT NULL,
	producer TEXT NOT NULL,
	epoch    INTEGER NOT NULL,
	stream   TEXT NOT NULL,
	site     TEXT NOT NULL,    -- of the newest message
	doubled  INTEGER NOT NULL, -- messages that came again
	PRIMARY KEY (tenant, producer, epoch, stream)
) WITHOUT ROWID`

type note struct {
	site    event.Site
	doubled uint64
}

// putNote writes the note beside an account when it has changed, which is seldom.
func (t *tx) putNote(ctx context.Context, key fold.LedgerKey, l *fold.Ledger) error {
	if now := (note{l.Site, l.Doubled}); t.notes[key] == now {
		return nil
	}
	_, err := t.st.putNote.ExecContext(ctx, string(t.tenant), string(key.Producer), key.Epoch, key.Stream, string(l.Site), int64(l.Doubled))
	return err
}

// accountQuery reads the loss ledger by tenant, site, and id.
const accountQuery = `SELECT tenant, site, id, producer, epoch, stream, high, low, tombstones, lost, doubled
	FROM (SELECT l.*, coalesce(n.site, '') AS site, coalesce(n.doubled, 0) AS doubled, l.producer || '/' || l.epoch || '/' || l.stream AS id
		FROM ledgers l LEFT JOIN ledger_notes n USING (tenant, producer, epoch, stream)) WHERE ` + notDeleted

// Accounts returns one page of the loss ledger, as store.Accounts says.
func (r *Reader) Accounts(ctx context.Context, req api.ListRequest) (api.Page[api.Account], error) {
	page := api.Page[api.Account]{Items: []api.Account{}}
	limit, err := store.Limit(req.Limit)
	if err != nil {
		return page, err
	}
	after, err := store.ParsePlace(req.After)
	if err != nil {
		return page, err
	}
	w, none := columns{"tenant", "site", "id"}.span(req, after)
	if none {
		return page, nil
	}
	if req.Producer != "" {
		w.and("producer = ?", req.Producer)
	}
	read, size := 0, 0
	var last store.Place
	err = r.each(ctx, accountQuery+w.text+" ORDER BY tenant, site, id LIMIT ?", append(w.args, limit+1), func(scan func(...any) error) error {
		a := api.Account{Missing: [][2]uint64{}}
		var tombstones, lost []byte
		if err := scan(&a.Tenant, &a.Site, &a.ID, &a.Producer, &a.Epoch, &a.Stream, &a.Received, &a.Acknowledged, &tombstones, &lost, &a.Duplicates); err != nil {
			return err
		}
		if read == limit || size > store.PageBytes {
			page.Next = last.Token()
			return nil
		}
		read++
		given, err := fold.ParseRanges(tombstones)
		if err != nil {
			return err
		}
		a.GivenUp = given.Count()
		missing, err := fold.ParseRanges(lost)
		if err != nil {
			return err
		}
		for _, m := range missing[max(0, len(missing)-api.MaxMissing):] {
			a.Missing = append(a.Missing, [2]uint64{m.From, m.To})
		}
		size += 300 + 44*len(a.Missing)
		last = store.Place{Tenant: a.Tenant, Site: a.Site, ID: a.ID}
		if req.Name == "" || (api.Key{Tenant: a.Tenant, Site: a.Site, ID: a.ID}).Named(req.Name) {
			page.Items = append(page.Items, a)
		}
		return nil
	})
	return page, err
}

// Gaps returns what of the ledger is missing, as store.Accounts says.
func (r *Reader) Gaps(ctx context.Context) (out []store.Gap, err error) {
	err = r.each(ctx, `SELECT tenant, producer, epoch, stream, lost FROM ledgers WHERE lost IS NOT NULL AND `+notDeleted, nil, func(scan func(...any) error) error {
		var g store.Gap
		var lost []byte
		if err := scan((*string)(&g.Tenant), (*string)(&g.Producer), &g.Epoch, &g.Stream, &lost); err != nil {
			return err
		}
		if g.Missing, err = fold.ParseRanges(lost); err != nil {
			return err
		}
		if len(g.Missing) > 0 && g.Stream != event.StreamState {
			out = append(out, g)
		}
		return nil
	})
	return out, err
}

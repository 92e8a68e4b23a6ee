package sqlite

import (
	"context"
	"database/sql"

	"midplane/api"
	"midplane/primary/store/index"
)

// Reader answers questions, several at once, beside a transaction that is under
// way. It implements store.Inventory, store.Lanes, store.Accounts,
// store.EventLog and store.Troubles.
type Reader struct {
	db    *sql.DB
	grown *growth
	index *index.Index // follows what the Writer commits
}

// Changed returns a channel that is closed at the next commit that grew the
// event log.
func (r *Reader) Changed() <-chan struct{} { return r.grown.changed() }

// Sites returns, by tenant, the sites where a device is down or a check is not ok.
func (r *Reader) Sites(context.Context) (map[string][]api.SiteReport, error) {
	return r.index.Sites(), nil
}

// Counts returns how many devices of each tenant have which status.
func (r *Reader) Counts(context.Context) (map[string]api.DeviceCounts, error) {
	return r.index.Counts(), nil
}

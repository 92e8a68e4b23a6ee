package sqlite

import "database/sql"

// Reader answers questions, several at once, beside a transaction that is under
// way. It implements store.Inventory, store.Lanes, store.EventLog
// and store.Troubles.
type Reader struct {
	db    *sql.DB
	grown *growth
}

// Changed returns a channel that is closed at the next commit that grew the
// event log.
func (r *Reader) Changed() <-chan struct{} { return r.grown.changed() }

package api

import (
	"time"
)

// LedgerList is the verb of the query service that lists the loss ledger.
const LedgerList = "ledger.list" // ListRequest → Page[Account]

// Account is one row of "get ledger": what became of the messages of one producer in
// one stream. An epoch is one outbox; its sequences begin with 1 and have no gap.
type Account struct {
	ID       string `json:"id"` // producer/epoch/stream
	Tenant   string `json:"tenant"`
	Site     string `json:"site"`
	Producer string `json:"producer"`
	Epoch    int64  `json:"epoch"`
	Stream   string `json:"stream"`
	// Acknowledged is the highest sequence up to which the producer says that each
	// message is acknowledged, or given up and in a tombstone.
	Acknowledged uint64 `json:"acknowledged"`
	Received     uint64 `json:"received"` // the highest sequence that the primary has met
	// Missing are the ranges, from and to, that were acknowledged and that the primary
	// has not; the newest MaxMissing of them. Of STATE, which keeps the last message of
	// each subject only, none are found.
	Missing    [][2]uint64 `json:"missing"`
	GivenUp    uint64      `json:"givenUp"`    // messages, on purpose: of those that the producer published as tombstones
	Duplicates uint64      `json:"duplicates"` // messages that came more than once, and were dropped
	// OldestUnsent is when the oldest message was put that waits in the producer's
	// outbox, as its last report says; null when none does, or when it is not known.
	OldestUnsent *time.Time `json:"oldestUnsent"`
}

// MaxMissing bounds Account.Missing.
const MaxMissing = 100

// AddUnsent fills in what pollers report of their outboxes.
func AddUnsent(rows []Account, pollers []Poller) {
	type key struct {
		tenant, producer, stream string
		epoch                    int64
	}
	oldest := map[key]*time.Time{}
	for _, p := range pollers {
		for _, u := range p.Unsent {
			oldest[key{p.Tenant, p.ID, u.Stream, p.Epoch}] = u.Oldest
		}
	}
	for i := range rows {
		r := &rows[i]
		r.OldestUnsent = oldest[key{r.Tenant, r.Producer, r.Stream, r.Epoch}]
	}
}

// Outgoing is what a poller says of one stream's messages in its outbox.
type Outgoing struct {
	Stream   string `json:"stream"`
	Low      uint64 `json:"low"`      // ce-low of a message that is sent now
	Waiting  int64  `json:"waiting"`  // messages
	OldestMS int64  `json:"oldestMs"` // age of the oldest of them
}

// Unsent is what waits in a poller's outbox for one stream.
type Unsent struct {
	Stream   string     `json:"stream"`
	Messages int64      `json:"messages"`
	Oldest   *time.Time `json:"oldest"` // when the oldest was put; null when none waits
}

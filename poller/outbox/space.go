package outbox

import (
	"context"
	"log/slog"
	"time"

	"midplane/event"
)

const (
	// maxRooms is how often room is made for one transaction.
	maxRooms = 12
	// roomPart is which part of the outbox is given up at least, once something
	// must be: a little each time would cost a transaction each time.
	roomPart = 32
	// ballastEvery is how often a lost ballast is tried to be made again.
	ballastEvery = 30 * time.Second
)

// space is the room that the outbox has on the disk, and what is done when there
// is none left. It is the writer's.
type space struct {
	maxBytes int64
	db       *handles
	ballast  ballast
	trouble  *trouble
	log      *slog.Logger
	giveUp   func(want int) map[event.Kind]int // the queue's
	release  func() bool                       // lets go of what is kept beside the database
}

// room is what was done already to make room for one transaction.
type room struct{ checkpointed bool }

// makeRoom does the next thing there is to do about a full outbox and reports
// whether trying again makes sense. need is about what is to be written, bytes.
func (s *space) makeRoom(ctx context.Context, need int, done *room) bool {
	if s.diskIsFull(ctx, need) {
		if s.release() {
			s.log.Warn("the disk is full: what was acknowledged is no longer kept")
			return true
		}
		released := s.ballast.release()
		if released {
			s.trouble.noBallast(true)
			s.log.Warn("the disk is full, the outbox goes on with its ballast", "bytes", s.ballast.size)
		}
		if released || !done.checkpointed {
			// At once, while there is room to: from then on the log is written
			// over in the room it has. Left to itself it would grow until it
			// has eaten the ballast, and could not be written back any more.
			done.checkpointed = s.db.checkpoint(ctx) == nil
			// Without it nothing can be deleted either: giving messages up
			// would lose them and make no room.
			return released || done.checkpointed
		}
	}
	given := s.giveUp(max(2*need, int(s.maxBytes/roomPart)))
	if len(given) == 0 {
		return false
	}
	s.log.Warn("the outbox is full: messages were given up to make room for newer ones",
		"metrics", given[event.KindMetric], "states", given[event.KindState], "events", given[event.KindEvent])
	return true
}

// diskIsFull reports that it was not the outbox' own bound that was met.
func (s *space) diskIsFull(ctx context.Context, need int) bool {
	have, most, err := s.db.pages(ctx)
	return err == nil && most-have > int64(2*need/pageSize+32)
}

// keepBallast makes the ballast unless it is there.
func (s *space) keepBallast() {
	err := s.ballast.make()
	switch changed := s.trouble.noBallast(err != nil); {
	case err != nil && changed:
		s.log.Warn("no room for the outbox' ballast, trying again later", "error", err)
	case err == nil && changed:
		s.log.Info("the outbox has its ballast again", "bytes", s.ballast.size)
	}
}

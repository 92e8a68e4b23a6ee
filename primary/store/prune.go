package store

import (
	"context"
	"time"
)

// pruneChunk is how many rows one transaction of pruning removes: folding
// waits for it, and must not wait long.
const pruneChunk = 2000

// Prune removes what is older than the event log is kept: events, told alarms,
// series without a sample since, and entities that were mentioned but never
// described. It works in small transactions and returns how many rows went.
func (s *Store) Prune(ctx context.Context) (int64, error) {
	cut := s.cfg.Now().Add(-time.Duration(s.cfg.EventDays) * 24 * time.Hour).UnixNano()
	var total int64
	for _, step := range []struct {
		stmt string
		args []any
	}{
		{`DELETE FROM events WHERE pos IN (SELECT pos FROM events
			WHERE pos <= (SELECT max(pos) FROM folded WHERE at < ?) ORDER BY pos LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM folded WHERE pos IN (SELECT pos FROM folded WHERE at < ? ORDER BY at LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM alarms WHERE pos IN (SELECT pos FROM alarms WHERE found < ? AND told = 1 ORDER BY pos LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM devices WHERE (tenant, site, device) IN (SELECT tenant, site, device FROM devices
			WHERE seen < ? AND d_removed IS NULL AND r_status IS NULL AND i_name IS NULL LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM samples WHERE (series, time) IN (SELECT series, time FROM samples
			WHERE series IN (SELECT id FROM series WHERE ? > (SELECT max(time) FROM samples WHERE series = id)) LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM series WHERE id IN (SELECT id FROM series
			WHERE NOT EXISTS (SELECT 1 FROM samples WHERE series = id) LIMIT ?)`, []any{pruneChunk}},
	} {
		for {
			n, err := s.delete(ctx, step.stmt, step.args...)
			total += n
			if err != nil {
				return total, err
			}
			if n < pruneChunk {
				break
			}
		}
	}
	return total, nil
}

func (s *Store) delete(ctx context.Context, stmt string, args ...any) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.write(ctx, func(ctx context.Context) error {
		res, err := s.conn.ExecContext(ctx, stmt, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err == nil && n > 0 {
		clear(s.ids) // a series may be gone
	}
	return n, err
}

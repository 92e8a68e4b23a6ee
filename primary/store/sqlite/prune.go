package sqlite

import (
	"context"
	"time"

	"midplane/event"
)

// pruneChunk is how many rows one transaction of pruning removes: folding
// waits for it, and must not wait long.
const pruneChunk = 2000

// Prune removes what is older than the event log is kept, as store.Pruner
// says. It works in small transactions.
func (w *Writer) Prune(ctx context.Context) (int64, error) {
	cut := w.opts.Now().Add(-time.Duration(w.opts.EventDays) * 24 * time.Hour).UnixNano()
	var total int64
	if err := w.trim(ctx); err != nil {
		return 0, err
	}
	for _, step := range []struct {
		stmt string
		args []any
	}{
		{`DELETE FROM events WHERE pos IN (SELECT pos FROM events
			WHERE pos <= (SELECT max(pos) FROM folded WHERE at < ?) ORDER BY pos LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM folded WHERE pos IN (SELECT pos FROM folded WHERE at < ? ORDER BY at LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM alarms WHERE pos IN (SELECT pos FROM alarms WHERE found < ? AND told = 1 ORDER BY pos LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM devices WHERE (tenant, site, device) IN (SELECT tenant, site, device FROM devices
			WHERE seen < ?1 AND d_removed IS NULL AND r_status IS NULL AND i_name IS NULL
			AND NOT EXISTS (SELECT 1 FROM states s WHERE s.tenant = devices.tenant AND s.type = '` + string(event.TypeSeen) + `'
				AND s.site = devices.site AND s.entity = devices.device AND s.time >= ?1) LIMIT ?2)`, []any{cut, pruneChunk}},
		{dropRecent(`SELECT series FROM newest WHERE time < ?`), []any{cut}},
		{`DELETE FROM samples WHERE (series, time) IN (SELECT series, time FROM samples
			WHERE series IN (SELECT series FROM newest WHERE time < ?) LIMIT ?)`, []any{cut, pruneChunk}},
		{`DELETE FROM series WHERE id IN (SELECT id FROM series x
			WHERE NOT EXISTS (SELECT 1 FROM newest n WHERE n.series = x.id AND n.time >= ?) LIMIT ?)`, []any{cut, pruneChunk}},
	} {
		for {
			n, err := w.delete(ctx, step.stmt, step.args...)
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

// dropRecent removes the samples of the series that a query names from recent.
func dropRecent(series string) string {
	return `DELETE FROM recent WHERE id IN (WITH RECURSIVE chain(id, before) AS (
			SELECT r.id, r.before FROM newest n CROSS JOIN recent r ON r.id = n.sample WHERE n.series IN (` + series + `)
			UNION ALL SELECT r.id, r.before FROM chain c CROSS JOIN recent r ON r.id = c.before)
		SELECT id FROM chain)`
}

// trim takes out of recent what is old. Folding does it too, but not while nothing comes.
func (w *Writer) trim(ctx context.Context) error {
	for {
		taken := 0
		err := w.change(ctx, "", func(ctx context.Context, t *tx) (err error) {
			taken, err = t.trimRecent(ctx, pruneChunk)
			return err
		})
		if err != nil || taken < pruneChunk {
			return err
		}
	}
}

func (w *Writer) delete(ctx context.Context, stmt string, args ...any) (n int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	err = w.write(ctx, func(ctx context.Context) error {
		res, err := w.conn.ExecContext(ctx, stmt, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err == nil && n > 0 {
		clear(w.series) // a series may be gone
	}
	return n, err
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"maps"

	"midplane/event"
	"midplane/primary/fold"
)

type seriesKey struct {
	tenant event.Tenant
	fold.SeriesKey
}

// trimBehind is how much longer than its window a sample is kept before it is
// removed, or put beside those of its series.
const trimBehind = fold.Window / 6

// trimAtLeast is how many samples one transaction may take out of recent beside twice
// as many as it brings: where one series goes on after many have ended, it catches up.
const trimAtLeast = 100

// maxSeriesCached bounds the memory that known series take.
const maxSeriesCached = 200_000

// seriesIDs is what is known of the table series.
type seriesIDs map[seriesKey]int64

// remember keeps ids that a committed transaction found or made.
func (s seriesIDs) remember(ids seriesIDs) {
	if len(s)+len(ids) > maxSeriesCached {
		clear(s)
	}
	maps.Copy(s, ids)
}

// putSamples writes samples and drops what is older than the window of each
// series they belong to.
//
// They stand in the table recent in the order in which they came, each with the one
// before it in its series, and newest says where a series begins. What leaves recent
// without being older than its series' window, since the series has ended, is put into
// the table samples, and so is what is older than its series' newest when it comes.
func (t *tx) putSamples(ctx context.Context, samples []fold.Sample) error {
	if len(samples) == 0 {
		return nil
	}
	touched := map[int64]struct{}{}
	for _, sm := range samples {
		id, err := t.seriesID(ctx, seriesKey{t.tenant, sm.SeriesKey})
		if err == nil {
			err = t.putSample(ctx, id, nanos(sm.Time), sm.Values)
		}
		if err != nil {
			return err
		}
		touched[id] = struct{}{}
	}
	for id := range touched {
		if _, err := t.st.trimSeries.ExecContext(ctx, id, fold.Window.Nanoseconds(), trimBehind.Nanoseconds()); err != nil {
			return err
		}
	}
	_, err := t.trimRecent(ctx, 2*len(samples)+trimAtLeast)
	return err
}

func (t *tx) putSample(ctx context.Context, series, at int64, values []byte) error {
	var chain, sample, newest int64
	err := t.st.newest.QueryRowContext(ctx, series).Scan(&chain, &sample, &newest)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		res, err := t.st.putNewest.ExecContext(ctx, series, at)
		if err == nil {
			chain, err = res.LastInsertId()
		}
		if err != nil {
			return err
		}
	case err != nil:
		return err
	case at <= newest:
		res, err := t.st.setRecent.ExecContext(ctx, values, series, at)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		_, err = t.st.putSample.ExecContext(ctx, series, at, values)
		return err
	}
	res, err := t.st.putRecent.ExecContext(ctx, chain, sample, at, values)
	if err != nil {
		return err
	}
	if sample, err = res.LastInsertId(); err != nil {
		return err
	}
	_, err = t.st.setNewest.ExecContext(ctx, sample, at, chain)
	return err
}

// trimRecent takes the oldest samples out of recent, at most limit of them, and
// returns how many it took. One stays, and with it all that came later, while it is
// within its series' window and not older than that by now.
func (t *tx) trimRecent(ctx context.Context, limit int) (taken int, err error) {
	rows, err := t.st.oldest.QueryContext(ctx, limit)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	cut := t.now.Add(-fold.Window - trimBehind).UnixNano()
	var last int64 // that is taken
	var kept []int64
	for rows.Next() {
		var id, at, newest int64
		if err := rows.Scan(&id, &at, &newest); err != nil {
			return 0, err
		}
		gone := newest == 0 || at < newest-fold.Window.Nanoseconds()
		if !gone && at >= cut {
			break
		}
		if !gone {
			kept = append(kept, id)
		}
		last, taken = id, taken+1
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || taken == 0 {
		return 0, err
	}
	for _, id := range kept {
		if _, err := t.st.keepRecent.ExecContext(ctx, id); err != nil {
			return 0, err
		}
	}
	_, err = t.st.trimRecent.ExecContext(ctx, last)
	return taken, err
}

func (t *tx) seriesID(ctx context.Context, key seriesKey) (int64, error) {
	if id, ok := t.series[key]; ok {
		return id, nil
	}
	if id, ok := t.fresh[key]; ok {
		return id, nil
	}
	args := []any{string(key.tenant), string(key.Site), string(key.Entity), string(key.Type)}
	var id int64
	err := t.st.seriesID.QueryRowContext(ctx, args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		var res sql.Result
		if res, err = t.st.putSeries.ExecContext(ctx, args...); err == nil {
			id, err = res.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	t.fresh[key] = id
	return id, nil
}

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

// trimBehind is how much longer than its window a series grows before it is trimmed.
const trimBehind = fold.Window / 6

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
func (t *tx) putSamples(ctx context.Context, samples []fold.Sample) error {
	touched := map[int64]struct{}{}
	for _, sm := range samples {
		id, err := t.seriesID(ctx, seriesKey{t.tenant, sm.SeriesKey})
		if err != nil {
			return err
		}
		if _, err := t.st.putSample.ExecContext(ctx, id, nanos(sm.Time), sm.Values); err != nil {
			return err
		}
		touched[id] = struct{}{}
	}
	for id := range touched {
		if _, err := t.st.trimSeries.ExecContext(ctx, id, fold.Window.Nanoseconds(), trimBehind.Nanoseconds()); err != nil {
			return err
		}
	}
	return nil
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

package store

import (
	"context"
	"database/sql"
	"errors"

	"midplane/event"
	"midplane/primary/fold"
)

type seriesKey struct {
	tenant event.Tenant
	fold.SeriesKey
}

// maxSeriesCached bounds the memory that known series take.
const maxSeriesCached = 200_000

// putSamples writes samples and drops what is older than the window of each
// series they belong to. It returns the ids of series it did not know: they
// may be remembered once the transaction is committed.
func (s *Store) putSamples(ctx context.Context, tenant event.Tenant, samples []fold.Sample) (map[seriesKey]int64, error) {
	touched := map[int64]struct{}{}
	fresh := map[seriesKey]int64{}
	for _, sm := range samples {
		id, err := s.series(ctx, seriesKey{tenant, sm.SeriesKey}, fresh)
		if err != nil {
			return nil, err
		}
		if _, err := s.st.putSample.ExecContext(ctx, id, nanos(sm.Time), sm.Values); err != nil {
			return nil, err
		}
		touched[id] = struct{}{}
	}
	for id := range touched {
		if _, err := s.st.trimSeries.ExecContext(ctx, id, fold.Window.Nanoseconds()); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

func (s *Store) series(ctx context.Context, key seriesKey, fresh map[seriesKey]int64) (int64, error) {
	if id, ok := s.ids[key]; ok {
		return id, nil
	}
	if id, ok := fresh[key]; ok {
		return id, nil
	}
	args := []any{string(key.tenant), string(key.Site), string(key.Entity), string(key.Type)}
	var id int64
	err := s.st.seriesID.QueryRowContext(ctx, args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		var res sql.Result
		if res, err = s.st.putSeries.ExecContext(ctx, args...); err == nil {
			id, err = res.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	fresh[key] = id
	return id, nil
}

// remember keeps ids that a committed transaction found or made.
func (s *Store) remember(ids map[seriesKey]int64) {
	if len(s.ids)+len(ids) > maxSeriesCached {
		clear(s.ids)
	}
	for k, id := range ids {
		s.ids[k] = id
	}
}

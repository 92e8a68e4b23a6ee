package auditlog

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
)

// List reads pages of the audit log: from After on, or the newest.
func (l *Log) List(ctx context.Context, _ string, req api.AuditRequest) (any, error) {
	after, err := l.position(&req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, api.FollowWait)
	defer cancel()
	first, last, _, err := l.store.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	if req.Newest {
		items, err := l.newest(ctx, req, first, last)
		return api.Page[api.AuditRecord]{Items: items}, err
	}
	return l.page(ctx, req, max(first, after+1), last, 2*time.Second)
}

// Follow waits until something matches.
func (l *Log) Follow(ctx context.Context, _ string, req api.AuditRequest) (any, error) {
	now := req.After == "now"
	if now {
		req.After = ""
	}
	after, err := l.position(&req)
	if err != nil {
		return nil, err
	}
	first, last, _, err := l.store.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	if now {
		after = last
	}
	deadline := time.Now().Add(api.FollowWait)
	for {
		// What is there already comes at once; then one by one.
		to := max(last, after+1)
		found, err := l.page(ctx, req, max(first, after+1), to, max(time.Until(deadline), time.Second))
		if err != nil || len(found.Items) > 0 || time.Now().After(deadline) {
			return found, err
		}
		if found.Next != "" {
			after, _ = strconv.ParseUint(found.Next, 10, 64) // our own
		}
	}
}

func (l *Log) position(req *api.AuditRequest) (after uint64, err error) {
	if req.Limit < 0 || req.Limit > api.MaxPage {
		return 0, fault.New(fault.Invalid, "limit %d, want 1 to %d", req.Limit, api.MaxPage)
	}
	if req.Limit == 0 {
		req.Limit = api.DefaultPage
	}
	if req.After != "" {
		if after, err = strconv.ParseUint(req.After, 10, 64); err != nil {
			return 0, fault.New(fault.Invalid, "after %q is no position in the audit log", req.After)
		}
	}
	return after, nil
}

// page reads forward. Next is the last position looked at, "" at the end.
func (l *Log) page(ctx context.Context, req api.AuditRequest, from, to uint64, wait time.Duration) (api.Page[api.AuditRecord], error) {
	page := api.Page[api.AuditRecord]{Items: []api.AuditRecord{}}
	err := l.store.Read(ctx, from, to, wait, func(rec api.AuditRecord) bool {
		if req.Matches(rec) {
			page.Items = append(page.Items, rec)
		}
		if rec.Seq < to || len(page.Items) == 0 {
			page.Next = strconv.FormatUint(rec.Seq, 10)
		} else {
			page.Next = ""
		}
		return len(page.Items) < req.Limit
	})
	return page, err
}

// newest reads backwards, in growing steps, until there are Limit acts
// that match. The record before an act is left out where the one after it is.
func (l *Log) newest(ctx context.Context, req api.AuditRequest, first, last uint64) ([]api.AuditRecord, error) {
	newest, done := []api.AuditRecord{}, map[string]bool{} // newest first
	step := uint64(2*req.Limit + 100)
	for to := last; to >= max(first, 1) && len(newest) < req.Limit; step = min(2*step, 20_000) {
		from := max(first, 1)
		if to-from >= step {
			from = to - step + 1
		}
		var part []api.AuditRecord
		err := l.store.Read(ctx, from, to, 2*time.Second, func(rec api.AuditRecord) bool {
			part = append(part, rec)
			return true
		})
		if err != nil {
			return nil, err
		}
		for i := len(part) - 1; i >= 0 && len(newest) < req.Limit; i-- {
			rec := part[i]
			if rec.Result != api.AuditBegun {
				done[rec.ID] = true
			} else if done[rec.ID] {
				continue
			}
			if req.Matches(rec) {
				newest = append(newest, rec)
			}
		}
		if req.Since != nil && len(part) > 0 && part[0].Time.Before(req.Since.Add(-time.Minute)) {
			break // nodes' clocks differ by less
		}
		if from == 1 || from == first {
			break
		}
		to = from - 1
	}
	for i, j := 0, len(newest)-1; i < j; i, j = i+1, j-1 {
		newest[i], newest[j] = newest[j], newest[i]
	}
	return newest, nil
}

// consoleVerb is what a console may report: it cannot be taken for an act of the
// admin door.
var consoleVerb = regexp.MustCompile(`^console(\.[a-z]{1,32}){1,3}$`)

// Report stores what a console did for its users. Who that was is the
// console's claim; the name of the console is from the server.
func (l *Log) Report(ctx context.Context, via string, act api.AuditAct) (any, error) {
	if !consoleVerb.MatchString(act.Verb) {
		return nil, fault.New(fault.Invalid, "verb %q is not console.<noun>.<verb>", registry.Clip(act.Verb, 80))
	}
	if err := event.CheckName("user", act.Who); err != nil && act.Who != "" {
		return nil, err
	}
	if act.Who == "" {
		act.Who = "_" // a user who did not give a name
	}
	rec := api.AuditRecord{Who: act.Who, Via: via, From: act.From, Verb: act.Verb, Target: act.Target, Tenant: registry.Clip(act.Tenant, 63), Result: registry.Clip(act.Result, 32), Detail: act.Detail}
	if act.ID != "" {
		rec.ID = via + "/" + registry.Clip(act.ID, 80)
	}
	l.Record(ctx, rec)
	return nil, nil
}

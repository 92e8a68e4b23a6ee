package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/subject"
)

// The floors of polls in which nothing has changed, of 2,000 devices of ten
// interfaces every 60 s.
const (
	unchangedPollerCores = 0.08
	unchangedCoreCores   = 0.10 // three nodes and the primary
	unchangedWritten     = 30 << 10
	unchangedMessages    = 3.0
	unchangedStored      = 1500
	// polls of 10,000 devices at 60 s that the primary keeps samples of: an hour,
	// and the sixth of one by which they are trimmed late.
	keptPolls = 10_000 * 70
)

// unchangedCost measures what polls cost in which nothing has changed: the pollers
// in one process, the devices in another, the nodes and the primary in this one.
func unchangedCost(ctx context.Context, o options) (result, error) {
	size := loadSize{devices: 2000, interfaces: 10, pollers: 1, interval: time.Minute}
	measure := 3 * size.interval
	if o.short { // as many polls a second, so that the parts that are per second weigh the same
		size.devices, size.interval = 200, 6*time.Second
		measure = 30 * time.Second
	}
	if o.load.devices > 0 {
		size.devices = o.load.devices
	}
	if o.load.interval > 0 {
		size.interval, measure = o.load.interval, 3*o.load.interval
	}
	w, err := newUnchangedWorld(ctx, size)
	if err != nil {
		return result{}, err
	}
	defer w.close()
	var f loadFloors
	f.note("%d SNMP devices of %d interfaces every %s", size.devices, size.interfaces, size.interval)
	if err := w.startPollers(ctx); err != nil {
		return result{}, err
	}
	before, err := w.settled(ctx)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := pause(ctx, measure); err != nil {
		return result{}, err
	}
	after, err := w.use(ctx)
	if err != nil {
		return result{}, err
	}
	seconds := time.Since(began).Seconds()
	polls := float64(after.runs - before.runs)
	if polls == 0 {
		return result{}, fmt.Errorf("no device was polled; the poller's log is\n%s", w.pollers[0].log())
	}
	f.note("%.0f polls in %.0f s", polls, seconds)
	cost := f.judge
	if o.short { // the machine may have other things to do, and what it writes depends on its pace
		cost = f.tell
	}
	cores := (after.poller.cpu - before.poller.cpu).Seconds() / seconds
	cost(cores <= unchangedPollerCores, "poller", fmt.Sprintf("≤ %.2f core", unchangedPollerCores), "%.3f core", cores)
	cores = (after.core.cpu - before.core.cpu).Seconds() / seconds
	cost(cores <= unchangedCoreCores, "nodes and primary", fmt.Sprintf("≤ %.2f core", unchangedCoreCores), "%.3f core", cores)
	core := float64(after.core.written-before.core.written) / polls
	edge := float64(after.poller.written-before.poller.written) / polls
	cost(core <= unchangedWritten, "written to disk by nodes and primary", fmt.Sprintf("≤ %d KB a poll", unchangedWritten>>10), "%.1f KB a poll (by the poller %.1f KB)", core/1024, edge/1024)
	messages := float64(after.messages-before.messages) / polls
	f.judge(messages <= unchangedMessages, "messages", fmt.Sprintf("≤ %.0f a poll", unchangedMessages), "%.2f", messages)
	f.judge(after.stored <= unchangedStored, "stored in one copy", fmt.Sprintf("≤ %d bytes a poll", unchangedStored), "%d bytes", after.stored)
	grown := float64(after.database-before.database) / polls
	f.note("         primary.db grew by %.0f bytes a poll, to %.1f MB; for 10,000 devices at 60 s that is %.2f GB when its samples are 70 minutes old, and then it grows with events only",
		grown, float64(after.database)/1e6, grown*keptPolls/1e9)
	return result{floor: "all of its floors", got: fmt.Sprintf("%d of %d floors reached", f.reached, f.reached+f.missed), ok: f.missed == 0}, nil
}

// settled waits until an interval has passed in which little was new: the first
// round says everything, and the second still moves checks to their phase.
func (w *loadWorld) settled(ctx context.Context) (unchangedUse, error) {
	var was unchangedUse
	for n := 0; ; n++ {
		if err := pause(ctx, w.size.interval); err != nil {
			return was, err
		}
		now, err := w.use(ctx)
		if err != nil {
			return was, err
		}
		news := float64(now.messages-was.messages) / max(float64(now.runs-was.runs), 1)
		if n >= 2 && news < unchangedMessages || n >= 10 {
			return now, nil
		}
		was = now
	}
}

// unchangedUse is what was used until a moment.
type unchangedUse struct {
	core, poller usage
	runs         uint64
	messages     uint64 // that the streams have taken
	stored       int    // bytes of the last poll of one device
	database     int64
}

func (w *loadWorld) use(ctx context.Context) (u unchangedUse, err error) {
	if u.core, err = usageOf(os.Getpid()); err != nil {
		return u, err
	}
	if u.poller, err = usageOf(w.pollers[0].cmd.Process.Pid); err != nil {
		return u, err
	}
	s, ok := w.pollers[0].last()
	if !ok {
		return u, fmt.Errorf("the poller reports nothing; its log is\n%s", w.pollers[0].log())
	}
	u.runs = s.Runs
	for _, k := range event.Kinds {
		seq, size, err := w.lastOf(ctx, k)
		if err != nil {
			return u, err
		}
		u.messages += seq
		u.stored += size
	}
	u.database, err = pagesOf(ctx, filepath.Join(w.dir, "primary", "primary.db"))
	return u, err
}

// pagesOf returns the bytes of a database, with what still stands in its WAL.
func pagesOf(ctx context.Context, path string) (bytes int64, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return bytes, db.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&bytes)
}

// lastOf returns the last sequence of a stream, and what the last message of the
// first device takes there for each type that an unchanged poll sends.
func (w *loadWorld) lastOf(ctx context.Context, k event.Kind) (seq uint64, size int, err error) {
	s, err := w.reader.info.Stream(ctx, k.Stream())
	if err != nil {
		return 0, 0, fmt.Errorf("look at %s: %w", k.Stream(), err)
	}
	for _, typ := range []event.Type{event.TypeSeen, event.TypeCountersList} {
		about := subject.In{Kind: k, Entity: "s0000", Type: typ}
		if m, err := s.GetLastMsgForSubject(ctx, about.StoredAs("syd").String()); err == nil {
			size += storedBytes(m.Subject, m.Header, len(m.Data))
		}
	}
	return s.CachedInfo().State.LastSeq, size, nil
}

// newUnchangedWorld is a cluster and a primary in this process, with the devices in
// another.
func newUnchangedWorld(ctx context.Context, size loadSize) (w *loadWorld, err error) {
	w = &loadWorld{size: size}
	defer func() {
		if err != nil {
			w.close()
			w = nil
		}
	}()
	if err = w.makeDir(); err != nil {
		return w, err
	}
	agents, stop, err := startAgents(ctx, size)
	if err != nil {
		return w, err
	}
	w.closers = append(w.closers, stop)
	spec, err := loadSpec(size.pollers, snmpDevices(agents, size.interval))
	if err != nil {
		return w, err
	}
	if err = w.startCore(ctx, spec, testcluster.Options{}); err != nil {
		return w, err
	}
	if err = w.order(ctx, w.cluster.Servers()); err != nil {
		return w, err
	}
	if w.reader, err = connectReader(ctx, w.cluster, loadTenant); err != nil {
		return w, err
	}
	w.closers = append(w.closers, w.reader.close)
	return w, nil
}

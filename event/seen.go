package event

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// Seen is a device's heartbeat: after each run of one of its checks the poller
// says how often each check has run, and which states of the device are current.
// States that have not changed are not sent again, so this is how a reader knows
// that they still hold, and whether it has them all.
type Seen struct {
	Device Entity `json:"device"`
	// Counting is when the poller began to count the runs.
	Counting time.Time   `json:"counting"`
	Checks   []CheckRuns `json:"checks"` // in order of their names
	// From is the sequence in STATE of the oldest current state, 0 when there is
	// none. A state of this poller and epoch with a lower sequence is not current.
	From uint64 `json:"from"`
	// States is how many states of the device and its parts are current.
	States int `json:"states"`
	// Digest is the sum of all of them, as Digest.String writes it.
	Digest string `json:"digest"`
}

// CheckRuns is how often a check has run.
type CheckRuns struct {
	Name    string    `json:"name"`
	Runs    uint64    `json:"runs"` // since Seen.Counting
	Last    time.Time `json:"last"` // the last run's end
	Latency float64   `json:"latencyMs,omitempty"`
}

// Digest is a sum over states that does not depend on their order: adding a
// state twice takes it out again.
type Digest uint64

// DigestOf returns the digest of one state: of what it is about, and its payload
// byte by byte as it was published.
func DigestOf(entity Entity, typ Type, data []byte) Digest {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n", entity, typ) // a hash takes everything
	_, _ = h.Write(data)
	return Digest(binary.BigEndian.Uint64(h.Sum(nil)))
}

// Add returns the digest with a state's added, or taken out again.
func (d Digest) Add(state Digest) Digest { return d ^ state }

// String writes the digest as 16 hex digits.
func (d Digest) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// InDigest reports whether states of a type count in a device's digest: the
// heartbeat itself, and what is not about a device, do not.
func InDigest(t Type) bool {
	return t != TypeSeen && t != TypeDeclared && t != TypeLedgerState
}

// CountersList is the totals of the interfaces of one device: one column a
// counter, each in the order of Index. A column that is left out is zero for
// every interface.
type CountersList struct {
	Device      Entity   `json:"device"`
	Index       []string `json:"index"`
	InOctets    []uint64 `json:"inOctets,omitempty"`
	OutOctets   []uint64 `json:"outOctets,omitempty"`
	InPackets   []uint64 `json:"inPackets,omitempty"`
	OutPackets  []uint64 `json:"outPackets,omitempty"`
	InErrors    []uint64 `json:"inErrors,omitempty"`
	OutErrors   []uint64 `json:"outErrors,omitempty"`
	InDiscards  []uint64 `json:"inDiscards,omitempty"`
	OutDiscards []uint64 `json:"outDiscards,omitempty"`
	// Timing is how long the check took that read them. It is in the first of a
	// run's messages; a check that reads no interfaces sends net.check.timing.v1.
	Timing *CheckTiming `json:"timing,omitempty"`
}

// CheckTiming is the timing of a check of the device.
type CheckTiming struct {
	Check string `json:"check"`
	Timing
}

// columns pairs each column with the field of Counters that it holds.
func (l *CountersList) columns(c *Counters) []column {
	return []column{
		{&l.InOctets, &c.InOctets}, {&l.OutOctets, &c.OutOctets}, {&l.InPackets, &c.InPackets}, {&l.OutPackets, &c.OutPackets},
		{&l.InErrors, &c.InErrors}, {&l.OutErrors, &c.OutErrors}, {&l.InDiscards, &c.InDiscards}, {&l.OutDiscards, &c.OutDiscards},
	}
}

type column struct {
	list  *[]uint64
	value *uint64
}

// Add appends the counters of one interface.
func (l *CountersList) Add(index string, c Counters) {
	n := len(l.Index)
	l.Index = append(l.Index, index)
	for _, col := range l.columns(&c) {
		if *col.value == 0 && len(*col.list) == 0 {
			continue
		}
		for len(*col.list) < n {
			*col.list = append(*col.list, 0)
		}
		*col.list = append(*col.list, *col.value)
	}
}

// At returns the counters of interface i of Index. What the list does not have is 0.
func (l *CountersList) At(i int) Counters {
	var c Counters
	for _, col := range l.columns(&c) {
		if i < len(*col.list) {
			*col.value = (*col.list)[i]
		}
	}
	return c
}

package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"midplane/event"
)

// Verbs about running two versions side by side.
const (
	UpgradeStatus   = "upgrade.status" // {} → Upgrade
	NodeDrop        = "node.forget"    // NodeRef → {}
	UpgradeFinish   = "upgrade.finish" // {} → Upgrade
	CoreUnderstands = "understands"    // Understands → {}; a primary says what it understands
)

// The formats that have a number. Where a number is missing it is 1, which is
// what v0.1.0 reads and writes.
const (
	// FormatRegistry is of what nodes store in the registry: 2 ignores and keeps
	// fields that are not known, and refuses a value that names a higher format; 3
	// reads specs in parts.
	FormatRegistry = "registry"
	// FormatChannel is of requests of pollers and applications, and their answers:
	// 2 ignores fields that are not known; 3 is a poller that takes its configuration
	// in parts.
	FormatChannel = "channel"
	// FormatCore is of requests of primaries, and their answers: 2 ignores fields
	// that are not known; 3 is nodes that know which messages are lost (CoreMissing).
	FormatCore = "core"
)

// The numbers from which on specs and configurations may be in parts.
const (
	RegistryWithParts = 3
	ChannelWithParts  = 3
)

// Formats are numbers by format. A program reads its own number and all below.
type Formats map[string]int

// Understands is what one program reads: formats, and the versions of Midplane's
// own types of message where they are above 1.
type Understands struct {
	Version string             `json:"version,omitempty"` // of the program; empty in a lowest common
	Formats Formats            `json:"formats,omitempty"`
	Types   map[event.Type]int `json:"types,omitempty"`
}

// CurrentFormats are the numbers of this version.
func CurrentFormats() Formats {
	return Formats{FormatRegistry: RegistryWithParts, FormatChannel: ChannelWithParts, FormatCore: CoreWithMissing, FormatPolls: PollsWithLedger, FormatSpace: 2, FormatProbe: 2}
}

// Number returns the number of a format.
func (f Formats) Number(name string) int { return max(f[name], 1) }

// maxVersion bounds a reported version, in bytes.
const maxVersion = 64

// KnownTo returns of u what matters to a program that understands mine: a program
// may report anything of itself, and every node keeps it in memory.
func (u Understands) KnownTo(mine Understands) Understands {
	if len(u.Version) > maxVersion {
		u.Version = ""
	}
	u.Formats, u.Types = knownTo(u.Formats, mine.Formats), knownTo(u.Types, mine.Types)
	return u
}

func knownTo[M ~map[K]int, K comparable](reported, mine M) M {
	out := M{}
	for k := range mine {
		if n := reported[k]; n > 1 {
			out[k] = min(n, mine[k])
		}
	}
	return out
}

// Highest returns what at least one of two understands.
func Highest(a, b Understands) Understands {
	return Understands{Version: b.Version, Formats: highest(a.Formats, b.Formats), Types: highest(a.Types, b.Types)}
}

func highest[M ~map[K]int, K comparable](a, b M) M {
	out := M{}
	maps.Copy(out, a)
	for k, n := range b {
		out[k] = max(out[k], n)
	}
	return out
}

// Lowest returns what all of them understand. Of no program it is what v0.1.0
// understands.
func Lowest(all ...Understands) Understands {
	if len(all) == 0 {
		return Understands{}
	}
	return Understands{
		Formats: lowest(all, func(u Understands) Formats { return u.Formats }),
		Types:   lowest(all, func(u Understands) map[event.Type]int { return u.Types }),
	}
}

func lowest[M ~map[K]int, K comparable](all []Understands, of func(Understands) M) M {
	out := maps.Clone(of(all[0]))
	for _, u := range all[1:] {
		for k, n := range out {
			out[k] = min(n, of(u)[k])
		}
	}
	maps.DeleteFunc(out, func(_ K, n int) bool { return n < 2 })
	return out
}

// Covers reports whether u understands all that other does.
func (u Understands) Covers(other Understands) bool {
	return covers(u.Formats, other.Formats) && covers(u.Types, other.Types)
}

func covers[M ~map[K]int, K comparable](have, want M) bool {
	for k, n := range want {
		if max(have[k], 1) < n {
			return false
		}
	}
	return true
}

// NodeRef names a node.
type NodeRef struct {
	Node string `json:"node"`
}

// Kinds of programs in an Upgrade.
const (
	RunsNode    = "node"
	RunsPrimary = "primary"
	RunsPoller  = "poller"
)

// Running is one program of the deployment.
type Running struct {
	Kind   string `json:"kind"` // node, primary, poller
	Name   string `json:"name"` // of a poller: tenant/name
	Live   bool   `json:"live"`
	Behind bool   `json:"behind"` // it understands less than the node that answers
	Understands
}

// Upgrade says which versions run side by side. Level is what is in use: new
// fields, values and types are stored and sent up to it. It rises only when an
// operator ends the upgrade; until then every node may go back.
type Upgrade struct {
	Open       bool        `json:"open"`    // Level is below what the node that answers understands
	Ready      bool        `json:"ready"`   // all nodes and primaries understand it: the upgrade can be ended
	Level      Understands `json:"level"`   // as it was ended last
	Target     Understands `json:"target"`  // of the node that answers
	Ended      *time.Time  `json:"ended"`   // null: never
	By         string      `json:"by"`      // who ended it
	Running    []Running   `json:"running"` // nodes, then primaries, then pollers
	Next       string      `json:"next"`    // what to do now
	Behind     []string    `json:"behind"`  // nodes and primaries that hold the upgrade up, in the order to replace them
	Pollers    int         `json:"pollers"` // that report
	OldPollers int         `json:"oldPollers"`
}

// problems says that the versions differ, or that the upgrade can be ended.
func (u *Upgrade) problems() []Problem {
	switch {
	case u == nil || !u.Open && len(u.Behind) == 0:
		return nil
	case !u.Open:
		return []Problem{wrong(CodeVersionTooOld, "", "", "", "%s of a version before the one that the last upgrade ended with", Behind(u.Behind))}
	case u.Ready:
		return []Problem{wrong(CodeUpgradeOpen, "", "", "", "the upgrade to %s is not ended", u.Target.Version)}
	}
	return []Problem{wrong(CodeVersionsDiffer, "", "", u.Next+"; see: midplane upgrade status", "%s of a version before %s", Behind(u.Behind), u.Target.Version)}
}

// Behind says of programs that they are behind, naming five at most: "node n1 is".
func Behind(names []string) string {
	const most = 5
	out := strings.Join(names[:min(most, len(names))], ", ")
	switch {
	case len(names) > most:
		return fmt.Sprintf("%s and %d more are", out, len(names)-most)
	case len(names) == 1:
		return out + " is"
	}
	return out + " are"
}

// NewUpgrade fills in what follows from who runs, the level and the target.
func NewUpgrade(level, target Understands, running []Running) Upgrade {
	u := Upgrade{Level: level, Target: target, Running: running, Behind: []string{}, Open: !level.Covers(target)}
	order := map[string]int{RunsNode: 0, RunsPrimary: 1, RunsPoller: 2}
	slices.SortFunc(u.Running, func(a, b Running) int {
		return cmp.Or(cmp.Compare(order[a.Kind], order[b.Kind]), cmp.Compare(a.Name, b.Name))
	})
	for i := range u.Running {
		r := &u.Running[i]
		r.Behind = !r.Covers(target)
		switch {
		case r.Kind == RunsPoller:
			u.Pollers++
			if r.Behind {
				u.OldPollers++
			}
		case r.Behind:
			u.Behind = append(u.Behind, r.Kind+" "+r.Name)
		}
	}
	u.Ready = u.Open && len(u.Behind) == 0
	switch {
	case !u.Open && len(u.Behind) > 0:
		u.Next = "stop " + u.Behind[0] + ": it is older than what is in use"
	case !u.Open:
		u.Next = "nothing; the newest formats are in use"
	case u.Ready:
		u.Next = "when all is well, end the upgrade: midplane upgrade finish --yes; after that no node can go back"
	default:
		u.Next = "start the new version of " + u.Behind[0]
	}
	return u
}

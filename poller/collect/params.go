package collect

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"midplane/fault"
)

// ParamReachability says whether a check decides if its device is up or down.
// Exactly one check of a device does, or two methods would fight: the control
// plane marks it, and the scheduler sets the parameter on every check.
const ParamReachability = "reachability"

// Params reads the parameters of a target and remembers the first mistake, so
// that a collector reads them all and then asks once.
type Params struct {
	t   Target
	err error
}

// ReadParams begins to read t's parameters. One that is not in known is a
// mistake: a misspelt parameter must not be ignored in silence.
func ReadParams(t Target, known ...string) *Params {
	p := &Params{t: t}
	for _, name := range slices.Sorted(maps.Keys(t.Params)) {
		if !slices.Contains(known, name) && name != ParamReachability {
			list := append(slices.Clone(known), ParamReachability)
			slices.Sort(list)
			p.fail(name, "is not known to collector %s", t.Collector)
			p.err = fault.WithHint(p.err, "it knows %s", strings.Join(list, ", "))
			break
		}
	}
	return p
}

// Err returns the first mistake, Invalid, or nil.
func (p *Params) Err() error { return p.err }

// fail never repeats the value: a person may have put a secret there.
func (p *Params) fail(name, format string, args ...any) {
	if p.err == nil {
		p.err = fault.Wrap(fault.Invalid, fault.New(fault.Invalid, format, args...), "check %s: parameter %s", p.t.Entity(), name)
	}
}

// Fail records a mistake that the collector itself found.
func (p *Params) Fail(name, format string, args ...any) { p.fail(name, format, args...) }

// String returns the parameter, or def when it is missing or empty.
func (p *Params) String(name, def string) string {
	if v := p.t.Params[name]; v != "" {
		return v
	}
	return def
}

// Int returns the parameter, or def when it is missing. Outside lo … hi is a mistake.
func (p *Params) Int(name string, def, lo, hi int) int {
	v := p.t.Params[name]
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		p.fail(name, "is not a number from %d to %d", lo, hi)
		return def
	}
	return n
}

// Bool returns the parameter, or def when it is missing.
func (p *Params) Bool(name string, def bool) bool {
	switch p.t.Params[name] {
	case "":
		return def
	case "true":
		return true
	case "false":
		return false
	}
	p.fail(name, "is neither true nor false")
	return def
}

// Port returns the parameter as a TCP port; missing without a default is a mistake.
func (p *Params) Port(name string, def int) int {
	n := p.Int(name, def, 1, 65535)
	if n == 0 {
		p.fail(name, "is missing")
	}
	return n
}

// Reachability returns ParamReachability, or def when it is missing.
func (p *Params) Reachability(def bool) bool { return p.Bool(ParamReachability, def) }

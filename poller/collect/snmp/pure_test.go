package snmp

import (
	"strconv"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"pgregory.net/rapid"
)

func itoa(n int) string { return strconv.Itoa(n) }

const ticksPerDay = 24 * 60 * 60 * 100

func TestBootTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		up   uptime
		want time.Time
	}{
		"a router a day up":                 {uptime{sys: ticksPerDay, hasSys: true}, ago(day)},
		"a host counts, not its agent":      {uptime{sys: 100, hasSys: true, host: ticksPerDay, hasHost: true}, ago(day)},
		"wrapped, engine time knows":        {uptime{sys: 500*ticksPerDay - wrap, hasSys: true, engine: 500 * 86400, hasEngine: true}, ago(500 * day)},
		"wrapped twice":                     {uptime{sys: 1000*ticksPerDay - 2*wrap, hasSys: true, engine: 1000*86400 + 3, hasEngine: true}, ago(1000 * day)},
		"wrapped host under an older agent": {uptime{host: 510*ticksPerDay - wrap, hasHost: true, sys: 500*ticksPerDay - wrap, hasSys: true, engine: 500 * 86400, hasEngine: true}, ago(510 * day)},
		"engine time is nonsense":           {uptime{sys: ticksPerDay, hasSys: true, engine: 900 * 86400, hasEngine: true}, ago(day)},
		"engine began a bit before":         {uptime{sys: ticksPerDay, hasSys: true, engine: 86400 + 60, hasEngine: true}, ago(day)},
	} {
		t.Run(name, func(t *testing.T) {
			tt.up.now = now
			if got, ok := tt.up.boot(); !ok || !got.Equal(tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	if at, ok := (uptime{now: now}).boot(); ok {
		t.Errorf("no uptime, but %v", at)
	}
}

// As long as a device runs, its boot time does not move, however often its
// ticks have wrapped.
func TestBootTimeStays(t *testing.T) {
	boot := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		ran := time.Duration(rapid.Int64Range(1, 5*365*86400).Draw(t, "seconds")) * time.Second
		late := time.Duration(rapid.Int64Range(-300, 300).Draw(t, "engine late")) * time.Second
		ticks := uint64(ran / (10 * time.Millisecond))
		u := uptime{now: boot.Add(ran), sys: ticks % wrap, hasSys: true,
			engine: uint64(max(ran+late, 0) / time.Second), hasEngine: true}
		got, ok := u.boot()
		if off := got.Sub(boot).Abs(); !ok || off > time.Second {
			t.Fatalf("after %s the boot time is off by %s", ran, off)
		}
	})
}

func TestSpeed(t *testing.T) {
	gauge := func(n uint) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Gauge32, Value: n} }
	for name, tt := range map[string]struct {
		old, high uint
		want      uint64
	}{
		"10 Gbit/s":           {1<<32 - 1, 10_000, 10_000_000_000},
		"1 Gbit/s":            {1_000_000_000, 1000, 1_000_000_000},
		"1.5 Mbit/s":          {1_544_000, 2, 1_544_000},
		"not known":           {0, 0, 0},
		"old agent, too fast": {1<<32 - 1, 0, 0},
	} {
		i := iface{old: row{"5": gauge(tt.old)}, x: row{"15": gauge(tt.high)}}
		if got := i.speed(); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestCountersPreferSixtyFourBits(t *testing.T) {
	c32 := func(n uint) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Counter32, Value: n} }
	c64 := func(n uint64) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: n} }
	i := iface{old: row{"10": c32(1), "16": c32(2), "11": c32(3), "12": c32(4), "20": c32(9)}, x: row{"6": c64(1 << 40), "7": c64(5), "8": c64(6)}}
	c, ok := i.counters()
	if !ok || c.InOctets != 1<<40 || c.OutOctets != 2 || c.InPackets != 11 || c.OutErrors != 9 {
		t.Errorf("%+v", c)
	}
	if _, ok := (iface{old: row{}}).counters(); ok {
		t.Error("an interface without counters counts")
	}
}

// Whatever an agent says becomes text that a payload may carry.
func TestTextIsPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.Byte()).Draw(t, "raw")
		got := text(gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: raw})
		if n := len([]rune(got)); n > maxText {
			t.Fatalf("%d runes", n)
		}
		for _, r := range got {
			if r < ' ' || r == 0x7f || r == 0xfffd {
				t.Fatalf("%q", got)
			}
		}
	})
}

func TestCompareOIDs(t *testing.T) {
	for _, pair := range [][2]string{{".1.3.9", ".1.3.10"}, {".1.3", ".1.3.1"}, {".1.2.99", ".1.3.1"}, {"2", "10"}} {
		if compare(pair[0], pair[1]) >= 0 || compare(pair[1], pair[0]) <= 0 || compare(pair[0], pair[0]) != 0 {
			t.Errorf("%v", pair)
		}
	}
}

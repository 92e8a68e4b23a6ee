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
		"engine time is out of range":       {uptime{sys: wrap - 16, hasSys: true, engine: 184467440737095516, hasEngine: true}, ago((wrap - 16) * 10 * time.Millisecond).Truncate(time.Second)},
		"a host that does not count":        {uptime{sys: ticksPerDay, hasSys: true, hasHost: true, engine: 86400, hasEngine: true}, ago(day)},
		"a host beyond 32 bits":             {uptime{sys: ticksPerDay, hasSys: true, host: wrap, hasHost: true}, ago(day)},
		"engine began a bit before":         {uptime{sys: ticksPerDay, hasSys: true, engine: 86400 + 60, hasEngine: true}, ago(day)},
	} {
		t.Run(name, func(t *testing.T) {
			tt.up.now = now
			if got, ok := tt.up.boot(); !ok || !got.Equal(tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	for name, up := range map[string]uptime{
		"no uptime": {now: now}, "engine time alone": {now: now, engine: 86400, hasEngine: true},
		"zero": {now: now, hasSys: true, hasHost: true}, "beyond 32 bits": {now: now, sys: wrap, hasSys: true},
	} {
		if at, ok := up.boot(); ok {
			t.Errorf("%s, but %v", name, at)
		}
	}
}

// For any numbers that an agent sends there is a boot time at once or none, and
// without an engine time that fits it is within one round of the ticks.
func FuzzBootTime(f *testing.F) {
	f.Add(uint64(wrap-16), uint64(0), uint64(184467440737095516), true, false, true)
	f.Add(uint64(500*ticksPerDay-wrap), uint64(1), uint64(500*86400), true, true, true)
	f.Add(uint64(1<<64-1), uint64(1<<64-1), uint64(1<<64-1), true, true, true)
	f.Fuzz(func(t *testing.T, sys, host, engine uint64, hasSys, hasHost, hasEngine bool) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		at, ok := uptime{now: now, sys: sys, host: host, engine: engine, hasSys: hasSys, hasHost: hasHost, hasEngine: hasEngine}.boot()
		if !ok {
			return
		}
		const oneRound = wrap*10*time.Millisecond + time.Second
		most := oneRound
		if hasEngine && hasSys && engine <= maxEngine {
			most += maxEngine * time.Second
		}
		if up := now.Sub(at); up < 0 || up > most {
			t.Errorf("up for %s", up)
		}
	})
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
		"given in bit/s":      {1_000_000_000, 1_000_000_000, 1_000_000_000},
		"both in Mbit/s":      {100, 100, 100_000_000},
		"minus 65537":         {1_000_000_000, 4294901759, 1_000_000_000},
		"minus one, twice":    {1<<32 - 1, 1<<32 - 1, 0},
		"only the coarse one": {0, 10, 10_000_000},
	} {
		i := iface{old: row{5: gauge(tt.old)}, x: row{15: gauge(tt.high)}}
		if got := i.speed(); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// No number leads to a speed that is neither one of the two nor a million times it.
func FuzzSpeed(f *testing.F) {
	types := []gosnmp.Asn1BER{gosnmp.Integer, gosnmp.Gauge32, gosnmp.Counter64, gosnmp.OctetString, gosnmp.Null}
	const gauge, counter = 1, 2
	f.Add(uint64(1_000_000_000), uint64(4294901759), uint8(gauge), uint8(gauge))
	f.Add(uint64(1_000_000_000), uint64(1_000_000_000), uint8(gauge), uint8(gauge))
	f.Add(uint64(0), uint64(1<<31+1), uint8(gauge), uint8(gauge))
	f.Add(uint64(1<<64-1), uint64(1<<64-1), uint8(counter), uint8(counter))
	f.Fuzz(func(t *testing.T, low, high uint64, lowType, highType uint8) {
		pdu := func(n uint64, i uint8) gosnmp.SnmpPDU {
			return gosnmp.SnmpPDU{Type: types[int(i)%len(types)], Value: n}
		}
		got := iface{old: row{5: pdu(low, lowType)}, x: row{15: pdu(high, highType)}}.speed()
		if got > maxHighSpeed*bitsPerMbit {
			t.Errorf("%d bit/s", got)
		}
		if got != 0 && got != low && (got%bitsPerMbit != 0 || got/bitsPerMbit != high) {
			t.Errorf("%d of %d and %d", got, low, high)
		}
	})
}

// A number is believed within the range of its type.
func TestNumbersOutOfRange(t *testing.T) {
	for name, v := range map[string]gosnmp.SnmpPDU{
		"Gauge32":  {Type: gosnmp.Gauge32, Value: uint(1 << 32)},
		"Counter":  {Type: gosnmp.Counter32, Value: uint(1<<64 - 1)},
		"INTEGER":  {Type: gosnmp.Integer, Value: 1 << 31},
		"negative": {Type: gosnmp.Integer, Value: -1},
		"NULL":     {Type: gosnmp.Null},
		"text":     {Type: gosnmp.OctetString, Value: []byte("7")},
		"nothing":  {},
	} {
		if n, ok := number(v); ok {
			t.Errorf("%s: %d", name, n)
		}
	}
	if n, ok := number(gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: uint64(1<<64 - 1)}); !ok || n != 1<<64-1 {
		t.Errorf("the largest Counter64 is %d, %v", n, ok)
	}
}

func TestSumsBeyondSixtyFourBitsAreMissing(t *testing.T) {
	c64 := func(n uint64) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: n} }
	i := iface{old: row{11: {Type: gosnmp.Counter32, Value: uint(7)}}, x: row{7: c64(1<<64 - 1), 8: c64(1)}}
	if c, ok := i.counters(); !ok || c.InPackets != 7 {
		t.Errorf("%+v", c)
	}
}

func TestCountersPreferSixtyFourBits(t *testing.T) {
	c32 := func(n uint) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Counter32, Value: n} }
	c64 := func(n uint64) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: n} }
	i := iface{old: row{10: c32(1), 16: c32(2), 11: c32(3), 12: c32(4), 20: c32(9)}, x: row{6: c64(1 << 40), 7: c64(5), 8: c64(6)}}
	c, ok := i.counters()
	if !ok || c.InOctets != 1<<40 || c.OutOctets != 2 || c.InPackets != 11 || c.OutErrors != 9 {
		t.Errorf("%+v", c)
	}
	if _, ok := (iface{old: row{}}).counters(); ok {
		t.Error("an interface without counters counts")
	}
}

// What an agent says becomes text that a payload may carry.
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

package testsnmp_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gosnmp/gosnmp"
	"go.uber.org/goleak"

	"midplane/fault"
	"midplane/internal/testsnmp"
)

// connect is the SNMP library's own client.
func connect(t *testing.T, a *testsnmp.Agent) *gosnmp.GoSNMP {
	t.Helper()
	g := &gosnmp.GoSNMP{Target: a.Addr().Addr().String(), Port: a.Addr().Port(), Version: gosnmp.Version2c,
		Community: "public", Timeout: 2 * time.Second, MaxOids: gosnmp.MaxOids, MaxRepetitions: 7}
	if err := g.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func record(t *testing.T, lines string) *testsnmp.MIB {
	t.Helper()
	m, err := testsnmp.Record(lines)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const everyTag = `# one of each
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99999.1
1.3.6.1.2.1.1.1.0|4|a|pipe and "quotes"

1.3.6.1.2.1.1.3.0|67|4294967295
1.3.6.1.2.1.9.1|2|-5
1.3.6.1.2.1.9.2|4x|00ff10
1.3.6.1.2.1.9.3|5|
1.3.6.1.2.1.9.4|64|192.0.2.1
1.3.6.1.2.1.9.5|65|4294967295
1.3.6.1.2.1.9.6|66|0
1.3.6.1.2.1.9.7|70|18446744073709551615
1.3.6.1.2.1.9.10|129|
`

func TestWalkShowsEveryValueInOrder(t *testing.T) {
	g := connect(t, testsnmp.Start(t, record(t, everyTag)))
	want := []gosnmp.SnmpPDU{
		{Name: ".1.3.6.1.2.1.1.1.0", Type: gosnmp.OctetString, Value: []byte(`a|pipe and "quotes"`)},
		{Name: ".1.3.6.1.2.1.1.2.0", Type: gosnmp.ObjectIdentifier, Value: ".1.3.6.1.4.1.99999.1"},
		{Name: ".1.3.6.1.2.1.1.3.0", Type: gosnmp.TimeTicks, Value: uint32(4294967295)},
		{Name: ".1.3.6.1.2.1.9.1", Type: gosnmp.Integer, Value: -5},
		{Name: ".1.3.6.1.2.1.9.2", Type: gosnmp.OctetString, Value: []byte{0, 255, 16}},
		{Name: ".1.3.6.1.2.1.9.3", Type: gosnmp.Null},
		{Name: ".1.3.6.1.2.1.9.4", Type: gosnmp.IPAddress, Value: "192.0.2.1"},
		{Name: ".1.3.6.1.2.1.9.5", Type: gosnmp.Counter32, Value: uint(4294967295)},
		{Name: ".1.3.6.1.2.1.9.6", Type: gosnmp.Gauge32, Value: uint(0)},
		{Name: ".1.3.6.1.2.1.9.7", Type: gosnmp.Counter64, Value: uint64(18446744073709551615)},
		{Name: ".1.3.6.1.2.1.9.10", Type: gosnmp.NoSuchInstance},
	}
	// GETNEXT by hand: the library's walks stop at a value that is missing.
	var next, bulk []gosnmp.SnmpPDU
	for at := ".1.3"; ; {
		r, err := g.GetNext([]string{at})
		if err != nil {
			t.Fatal(err)
		}
		if r.Variables[0].Type == gosnmp.EndOfMibView {
			break
		}
		next, at = append(next, r.Variables[0]), r.Variables[0].Name
	}
	if diff := cmp.Diff(want, next); diff != "" {
		t.Errorf("by GETNEXT: %s", diff)
	}
	// One GETBULK over the end: the last variable says so, under the last name.
	r, err := g.GetBulk([]string{".1.3"}, 0, 50)
	if err != nil {
		t.Fatal(err)
	}
	bulk = r.Variables
	end := gosnmp.SnmpPDU{Name: ".1.3.6.1.2.1.9.10", Type: gosnmp.EndOfMibView}
	if diff := cmp.Diff(append(want, end), bulk); diff != "" {
		t.Errorf("by GETBULK: %s", diff)
	}
}

func TestMissingValues(t *testing.T) {
	g := connect(t, testsnmp.Start(t, record(t, everyTag)))
	r, err := g.Get([]string{"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.1.1", "1.3.6.1.2.1.9.11", "1.3.6.1.2.1.10.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	var got []gosnmp.Asn1BER
	for _, v := range r.Variables {
		got = append(got, v.Type)
	}
	want := []gosnmp.Asn1BER{gosnmp.OctetString, gosnmp.NoSuchInstance, gosnmp.NoSuchInstance, gosnmp.NoSuchObject}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Non-repeaters come once, the others row by row; a row that is past the end in
// all its columns is the last.
func TestBulkRows(t *testing.T) {
	g := connect(t, testsnmp.Start(t, record(t, "1.3.1.1|2|1\n1.3.1.2|2|2\n1.3.2.1|2|3\n1.3.2.2|2|4")))
	r, err := g.GetBulk([]string{"1.3.1", "1.3.1.1", "1.3.2.1"}, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range r.Variables {
		got = append(got, fmt.Sprintf("%s %s", v.Name, v.Type))
	}
	want := []string{".1.3.1.1 Integer", ".1.3.1.2 Integer", ".1.3.2.2 Integer", ".1.3.2.1 Integer", ".1.3.2.2 EndOfMibView",
		".1.3.2.2 Integer", ".1.3.2.2 EndOfMibView", ".1.3.2.2 EndOfMibView", ".1.3.2.2 EndOfMibView"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGeneratedDevice(t *testing.T) {
	a := testsnmp.Start(t, testsnmp.Device(24))
	g := connect(t, a)
	all, err := g.BulkWalkAll(".1.3")
	if err != nil {
		t.Fatal(err)
	}
	if want := 6 + 24*(18+11); len(all) != want {
		t.Errorf("%d variables, want %d", len(all), want)
	}
	const octets, status = ".1.3.6.1.2.1.31.1.1.1.6.3", ".1.3.6.1.2.1.2.2.1.8.3"
	read := func() (uint64, int) {
		t.Helper()
		r, err := g.Get([]string{octets, status})
		if err != nil {
			t.Fatal(err)
		}
		return r.Variables[0].Value.(uint64), r.Variables[1].Value.(int)
	}
	first, up := read()
	if err := a.MIB().SetOperStatus(3, testsnmp.Down); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	later, down := read()
	for later <= first && time.Now().Before(deadline) {
		later, down = read()
	}
	if later <= first || up != testsnmp.Up || down != testsnmp.Down {
		t.Errorf("octets %d, then %d; status %d, then %d", first, later, up, down)
	}
	if err := a.MIB().SetOperStatus(25, testsnmp.Down); !fault.Is(err, fault.NotFound) {
		t.Errorf("an interface that is not there: %v", err)
	}
}

func TestSilence(t *testing.T) {
	a := testsnmp.Start(t, testsnmp.Device(1))
	g := connect(t, a)
	g.Timeout = 100 * time.Millisecond
	ask := func() error { _, err := g.Get([]string{"1.3.6.1.2.1.1.1.0"}); return err }
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	a.Silence()
	if err := ask(); err == nil {
		t.Error("a silent agent answers")
	}
	a.Speak()
	g.Timeout = 2 * time.Second
	if err := ask(); err != nil {
		t.Error(err)
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	for name, line := range map[string]string{
		"no value": "1.3.6|2", "no OID": "a.b|2|1", "no tag": "1.3.6|x|1", "unknown tag": "1.3.6|99|1", "no number": "1.3.6|2|one",
		"out of range": "1.3.6|65|4294967296", "no address": "1.3.6|64|::1", "no hex": "1.3.6|4x|zz", "twice": "1.3.1.1|2|1",
	} {
		if _, err := testsnmp.Record("1.3.1.1|2|1\n" + line); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		} else if name != "twice" && !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v does not name the line", name, err)
		}
	}
	if _, err := testsnmp.Serve("192.0.2.1:161", testsnmp.Device(1), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an address that is not on loopback: %v", err)
	}
}

// Two thousand agents in one process, each on an address of its own.
func TestTwoThousandAgents(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	before := memory()
	var agents []*testsnmp.Agent
	defer func() {
		for _, a := range agents {
			a.Close()
		}
	}()
	for n, m := range testsnmp.Devices(2000, 10) {
		a, err := testsnmp.Serve(fmt.Sprintf("127.1.%d.%d:0", n/250, n%250+1), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		agents = append(agents, a)
	}
	for _, n := range []int{0, 999, 1999} {
		g := connect(t, agents[n])
		if all, err := g.BulkWalkAll(".1.3.6.1.2.1.2"); err != nil || len(all) != 180 {
			t.Errorf("agent %d: %d variables, %v", n, len(all), err)
		}
		g.Close()
	}
	if used := memory() - before; used > 64<<20 {
		t.Errorf("%d MiB for 2,000 agents", used>>20)
	}
}

func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

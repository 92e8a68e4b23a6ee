package snmp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gosnmp/gosnmp"
	"pgregory.net/rapid"
)

// sameAsLibrary wants of an answer that readAnswer understands what the library
// makes of it, and returns whether it does.
func sameAsLibrary(t interface {
	Helper()
	Fatalf(string, ...any)
}, data []byte) bool {
	t.Helper()
	copied := append([]byte(nil), data...)
	got, ok := readAnswer(copied)
	if !ok {
		return false
	}
	clear(copied) // nothing of the answer lies in it
	want, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).SnmpDecodePacket(append([]byte(nil), data...))
	if err != nil {
		t.Fatalf("the library refuses %x: %v", data, err)
	}
	type said struct {
		Version   gosnmp.SnmpVersion
		Type      gosnmp.PDUType
		Community string
		ID        uint32
		Error     gosnmp.SNMPError
		Index     uint8
		Values    []gosnmp.SnmpPDU
	}
	of := func(p *gosnmp.SnmpPacket) said {
		return said{p.Version, p.PDUType, p.Community, p.RequestID, p.Error, p.ErrorIndex, append([]gosnmp.SnmpPDU{}, p.Variables...)}
	}
	if d := cmp.Diff(of(want), of(got)); d != "" {
		t.Fatalf("%x (-library +readAnswer):\n%s", data, d)
	}
	return true
}

// Ordinary answers are understood, as the library would.
func TestReadAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := gosnmp.SnmpPacket{Version: gosnmp.Version2c, PDUType: gosnmp.GetResponse, Community: rapid.StringN(0, 40, 100).Draw(t, "community"),
			RequestID: rapid.Uint32Range(0, 1<<31-1).Draw(t, "id"), Error: gosnmp.SNMPError(rapid.IntRange(0, 18).Draw(t, "error")),
			ErrorIndex: uint8(rapid.IntRange(0, 127).Draw(t, "index"))}
		for range rapid.IntRange(0, 60).Draw(t, "values") {
			v := gosnmp.SnmpPDU{Name: ".1.3.6.1.2.1.2.2.1." + itoa(rapid.IntRange(1, 22).Draw(t, "column")) + "." + itoa(int(rapid.Uint32().Draw(t, "row")))}
			switch v.Type = rapid.SampledFrom([]gosnmp.Asn1BER{gosnmp.Integer, gosnmp.OctetString, gosnmp.ObjectIdentifier, gosnmp.IPAddress, gosnmp.Counter32, gosnmp.Gauge32,
				gosnmp.TimeTicks, gosnmp.Counter64, gosnmp.Null, gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView}).Draw(t, "type"); v.Type {
			case gosnmp.Integer:
				v.Value = int(rapid.Int32().Draw(t, "integer"))
			case gosnmp.OctetString:
				v.Value = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "text")
			case gosnmp.ObjectIdentifier:
				v.Value = ".1.3.6.1.4.1." + itoa(int(rapid.Uint32().Draw(t, "oid")))
			case gosnmp.IPAddress:
				v.Value = "192.0.2.1"
			case gosnmp.Counter32, gosnmp.Gauge32, gosnmp.TimeTicks:
				v.Value = rapid.Uint32().Draw(t, "number")
			case gosnmp.Counter64:
				v.Value = rapid.Uint64().Draw(t, "counter")
			}
			p.Variables = append(p.Variables, v)
		}
		data, err := p.MarshalMsg()
		if err != nil {
			t.Fatal(err)
		}
		if !sameAsLibrary(t, data) {
			t.Fatalf("%x is not understood", data)
		}
	})
}

// Of anything that it takes for an answer, it makes what the library does.
func FuzzReadAnswer(f *testing.F) {
	for _, v := range []gosnmp.SnmpPDU{{Type: gosnmp.Counter64, Value: uint64(1<<64 - 1)}, {Type: gosnmp.OctetString, Value: []byte("x")},
		{Type: gosnmp.Integer, Value: -1}, {Type: gosnmp.EndOfMibView}, {Type: gosnmp.ObjectIdentifier, Value: ".1.3.6.1"}} {
		v.Name = ".1.3.6.1.2.1.1.5.0"
		p := gosnmp.SnmpPacket{Version: gosnmp.Version2c, PDUType: gosnmp.GetResponse, Community: "c", RequestID: 7, Variables: []gosnmp.SnmpPDU{v, v}}
		data, err := p.MarshalMsg()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameAsLibrary(t, data) })
}

package snmp

import (
	"net"
	"strconv"

	"github.com/gosnmp/gosnmp"
)

// readAnswer decodes an answer of SNMPv2c as the library would, in a tenth of its
// allocations. ok is false for anything out of the ordinary, also where it is
// allowed: that is the library's to understand or to refuse. Nothing of the
// result lies in data.
func readAnswer(data []byte) (p *gosnmp.SnmpPacket, ok bool) {
	p = &gosnmp.SnmpPacket{Version: gosnmp.Version2c}
	message := ber{data}
	r := ber{message.field(byte(gosnmp.Sequence))}
	version, community := r.field(byte(gosnmp.Integer)), r.field(byte(gosnmp.OctetString))
	if len(version) != 1 || version[0] != byte(gosnmp.Version2c) || community == nil || len(message.rest) > 0 {
		return nil, false
	}
	p.Community, p.PDUType = string(community), gosnmp.GetResponse
	pdu := ber{r.field(byte(gosnmp.GetResponse))}
	id, okID := signed(pdu.field(byte(gosnmp.Integer)))
	status, okStatus := signed(pdu.field(byte(gosnmp.Integer)))
	index, okIndex := signed(pdu.field(byte(gosnmp.Integer)))
	list := ber{pdu.field(byte(gosnmp.Sequence))}
	if !okID || !okStatus || !okIndex || list.rest == nil || len(r.rest) > 0 || len(pdu.rest) > 0 {
		return nil, false
	}
	p.RequestID, p.Error, p.ErrorIndex = uint32(id), gosnmp.SNMPError(status), uint8(index)
	p.Variables = make([]gosnmp.SnmpPDU, 0, len(list.rest)/smallestVariable)
	for len(list.rest) > 0 {
		one := ber{list.field(byte(gosnmp.Sequence))}
		v, ok := one.variable()
		if !ok {
			return nil, false
		}
		p.Variables = append(p.Variables, v)
	}
	return p, true
}

// smallestVariable is what a name with its value takes in bytes, about.
const smallestVariable = 16

// ber reads fields, of a tag, a length and a value, one after the other.
type ber struct{ rest []byte }

// next returns the next field, and nil when there is none.
func (r *ber) next() (tag byte, value []byte) {
	if len(r.rest) < 2 {
		return 0, nil
	}
	tag, length, head := r.rest[0], int(r.rest[1]), 2
	switch {
	case length < 0x80:
	case length == 0x81 && len(r.rest) > 2:
		length, head = int(r.rest[2]), 3
	case length == 0x82 && len(r.rest) > 3:
		length, head = int(r.rest[2])<<8|int(r.rest[3]), 4
	default: // no datagram has a longer one
		length = len(r.rest)
	}
	if head+length > len(r.rest) {
		r.rest = nil
		return 0, nil
	}
	value, r.rest = r.rest[head:head+length:head+length], r.rest[head+length:]
	return tag, value
}

// field is next, and nil for another tag.
func (r *ber) field(tag byte) []byte {
	if got, value := r.next(); got == tag {
		return value
	}
	return nil
}

// variable reads a name and its value, the types that the library makes of them.
func (r *ber) variable() (v gosnmp.SnmpPDU, ok bool) {
	if v.Name, ok = oidText(r.field(byte(gosnmp.ObjectIdentifier))); !ok {
		return v, false
	}
	tag, value := r.next()
	if value == nil || len(r.rest) > 0 {
		return v, false
	}
	v.Type = gosnmp.Asn1BER(tag)
	switch v.Type {
	case gosnmp.Integer:
		var n int64
		n, ok = signed(value)
		v.Value = int(n)
	case gosnmp.OctetString:
		v.Value = append(make([]byte, 0, len(value)), value...)
	case gosnmp.ObjectIdentifier:
		v.Value, ok = oidText(value)
	case gosnmp.IPAddress:
		ok = len(value) == net.IPv4len
		v.Value = net.IP(value).String()
	case gosnmp.Counter32, gosnmp.Gauge32:
		var n uint64
		n, ok = unsigned(value)
		v.Value = uint(n)
	case gosnmp.TimeTicks:
		var n uint64
		n, ok = unsigned(value)
		v.Value = uint32(n)
	case gosnmp.Counter64:
		v.Value, ok = unsigned(value)
	case gosnmp.Null, gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView:
		ok = len(value) == 0
	default:
		ok = false
	}
	return v, ok
}

// signed reads an INTEGER of at most 32 bits.
func signed(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 4 {
		return 0, false
	}
	n = int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return n, true
}

// unsigned reads a number of at most 64 bits, which may have a zero before it.
func unsigned(b []byte) (n uint64, ok bool) {
	if len(b) == 9 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n, true
}

// oidText is an object identifier as the library writes it.
func oidText(b []byte) (string, bool) {
	const ordinary = 0x2b // 1.3
	if len(b) == 0 || b[0] != ordinary || b[len(b)-1]&0x80 != 0 {
		return "", false
	}
	var room [128]byte
	out := append(room[:0], ".1.3"...)
	var n uint64
	for _, c := range b[1:] {
		if n = n<<7 | uint64(c&0x7f); n > 1<<32-1 {
			return "", false
		}
		if c&0x80 == 0 {
			out = strconv.AppendUint(append(out, '.'), n, 10)
			n = 0
		}
	}
	return string(out), true
}

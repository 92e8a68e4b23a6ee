package testsnmp

import (
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/fault"
)

// Record makes a device from lines of a snmprec file, OID|tag|value, in any
// order. The tag is the ASN.1 type in decimal; an "x" behind it says that the
// value is hexadecimal. Empty lines and lines that begin with # are skipped.
// The error is Invalid and names the line.
func Record(text string) (*MIB, error) {
	type variable struct {
		key oid
		pdu gosnmp.SnmpPDU
	}
	var list []variable
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, pdu, err := parseLine(line)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "line %d", n+1)
		}
		list = append(list, variable{key, pdu})
	}
	slices.SortFunc(list, func(a, b variable) int { return a.key.compare(b.key) })
	l := &layout{}
	for i, v := range list {
		if i > 0 && v.key.compare(list[i-1].key) == 0 {
			return nil, fault.New(fault.Invalid, "%s is there twice", v.pdu.Name)
		}
		l.keys, l.names = append(l.keys, v.key), append(l.names, v.pdu.Name)
	}
	return &MIB{layout: l, value: func(i int, _ time.Time) gosnmp.SnmpPDU { return list[i].pdu }}, nil
}

func parseLine(line string) (oid, gosnmp.SnmpPDU, error) {
	parts := strings.SplitN(line, "|", 3)
	if len(parts) != 3 {
		return nil, gosnmp.SnmpPDU{}, fault.New(fault.Invalid, "%q is not OID|tag|value", line)
	}
	key, err := parseOID(parts[0])
	if err != nil {
		return nil, gosnmp.SnmpPDU{}, err
	}
	text := parts[2]
	tag, inHex := strings.CutSuffix(parts[1], "x")
	if inHex {
		raw, err := hex.DecodeString(text)
		if err != nil {
			return nil, gosnmp.SnmpPDU{}, fault.New(fault.Invalid, "%q is not hexadecimal", text)
		}
		text = string(raw)
	}
	number, err := strconv.ParseUint(tag, 10, 8)
	if err != nil {
		return nil, gosnmp.SnmpPDU{}, fault.New(fault.Invalid, "%q is no tag", parts[1])
	}
	pdu, err := parseValue(gosnmp.Asn1BER(number), text)
	pdu.Name = "." + strings.TrimPrefix(parts[0], ".")
	return key, pdu, err
}

func parseValue(tag gosnmp.Asn1BER, text string) (gosnmp.SnmpPDU, error) {
	pdu := gosnmp.SnmpPDU{Type: tag}
	var err error
	switch tag {
	case gosnmp.Integer:
		var n int64
		n, err = strconv.ParseInt(text, 10, 32)
		pdu.Value = int(n)
	case gosnmp.OctetString, gosnmp.Opaque:
		pdu.Value = []byte(text)
	case gosnmp.ObjectIdentifier:
		_, err = parseOID(text)
		pdu.Value = "." + strings.TrimPrefix(text, ".")
	case gosnmp.IPAddress:
		if ip := net.ParseIP(text).To4(); ip != nil {
			pdu.Value = []byte(ip)
		} else {
			err = fault.New(fault.Invalid, "no IPv4 address")
		}
	case gosnmp.Counter32, gosnmp.Gauge32, gosnmp.TimeTicks, gosnmp.Uinteger32:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		pdu.Value = uint32(n)
	case gosnmp.Counter64:
		pdu.Value, err = strconv.ParseUint(text, 10, 64)
	case gosnmp.Null, gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView:
	default:
		err = fault.New(fault.Invalid, "the tag is not known")
	}
	if err != nil {
		return pdu, fault.New(fault.Invalid, "value %q of tag %d: %w", text, tag, err)
	}
	return pdu, nil
}

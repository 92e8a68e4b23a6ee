package snmp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/api"
	"midplane/fault"
	"midplane/poller/collect"
)

const (
	defaultPort       = 161
	defaultRepetition = 25 // rows a request: what fits into one packet of most agents
	retries           = 1
	maxRequestTime    = 2 * time.Second
	// maxRows ends the reading of a table that an agent makes up as it goes.
	maxRows = 200_000
	// maxTable does the same by what the values take in memory, in bytes: an
	// agent chooses how long its strings and object identifiers are.
	maxTable = 32 << 20
)

// client makes the library's client for t, secrets resolved, not yet connected.
func client(t collect.Target) (*gosnmp.GoSNMP, error) {
	c := t.SNMP
	if c == nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "device %s has no snmp settings", t.Device),
			"give the device an snmp block: version, and community or user, as references to secrets")
	}
	g := &gosnmp.GoSNMP{
		Transport: "udp", Port: defaultPort, MaxOids: gosnmp.MaxOids, Retries: retries,
		// Two tries of the first request must fit, or a silent device would
		// look like a slow one.
		Timeout:        min(maxRequestTime, t.Timeout/(retries+2)),
		MaxRepetitions: defaultRepetition,
	}
	if c.Port < 0 || c.Port > 65535 || c.MaxRepetition < 0 || c.MaxRepetition > 1000 {
		return nil, fault.New(fault.Invalid, "snmp settings of %s: port or maxRepetitions is out of range", t.Device)
	}
	if c.Port != 0 {
		g.Port = uint16(c.Port)
	}
	if c.MaxRepetition != 0 {
		g.MaxRepetitions = uint32(c.MaxRepetition)
	}
	var err error
	switch c.Version {
	case "2c":
		g.Version = gosnmp.Version2c
		g.Community, err = secret(t, "community", c.Community)
	case "3":
		g.Version = gosnmp.Version3
		err = secure(g, t, c)
	default:
		err = fault.New(fault.Invalid, `snmp settings of %s: version %q is neither "2c" nor "3"`, t.Device, c.Version)
	}
	return g, err
}

func secret(t collect.Target, what, ref string) (string, error) {
	if ref == "" {
		return "", fault.New(fault.Invalid, "snmp settings of %s: %s is missing", t.Device, what)
	}
	value, err := t.Secret(ref)
	return value, fault.Wrap(fault.Other, err, "snmp settings of %s: %s", t.Device, what)
}

var authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{
	"MD5": gosnmp.MD5, "SHA": gosnmp.SHA, "SHA224": gosnmp.SHA224,
	"SHA256": gosnmp.SHA256, "SHA384": gosnmp.SHA384, "SHA512": gosnmp.SHA512,
}

var privProtocols = map[string]gosnmp.SnmpV3PrivProtocol{
	"DES": gosnmp.DES, "AES": gosnmp.AES, "AES192": gosnmp.AES192, "AES256": gosnmp.AES256,
	"AES192C": gosnmp.AES192C, "AES256C": gosnmp.AES256C,
}

// secure sets SNMPv3's user: as much security as the settings name protocols.
func secure(g *gosnmp.GoSNMP, t collect.Target, c *api.SNMP) error {
	usm := &gosnmp.UsmSecurityParameters{UserName: c.User,
		AuthenticationProtocol: gosnmp.NoAuth, PrivacyProtocol: gosnmp.NoPriv}
	g.SecurityModel, g.SecurityParameters, g.ContextName = gosnmp.UserSecurityModel, usm, c.Context
	g.MsgFlags = gosnmp.NoAuthNoPriv
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "snmp settings of %s: %s", t.Device, fmt.Sprintf(format, args...))
	}
	var known bool
	var err error
	if c.User == "" {
		return wrong("user is missing")
	}
	if c.PrivProtocol != "" && c.AuthProtocol == "" {
		return wrong("privacy needs an authProtocol")
	}
	if c.AuthProtocol != "" {
		if usm.AuthenticationProtocol, known = authProtocols[c.AuthProtocol]; !known {
			return wrong("authProtocol %q is not one of MD5, SHA, SHA224, SHA256, SHA384, SHA512", c.AuthProtocol)
		}
		g.MsgFlags = gosnmp.AuthNoPriv
		if usm.AuthenticationPassphrase, err = passphrase(t, "authSecret", c.AuthSecret); err != nil {
			return err
		}
	}
	if c.PrivProtocol != "" {
		if usm.PrivacyProtocol, known = privProtocols[c.PrivProtocol]; !known {
			return wrong("privProtocol %q is not one of DES, AES, AES192, AES256, AES192C, AES256C", c.PrivProtocol)
		}
		g.MsgFlags = gosnmp.AuthPriv
		if usm.PrivacyPassphrase, err = passphrase(t, "privSecret", c.PrivSecret); err != nil {
			return err
		}
	}
	return nil
}

// passphrase is a secret of at least the 8 characters that agents ask for.
func passphrase(t collect.Target, what, ref string) (string, error) {
	value, err := secret(t, what, ref)
	if err == nil && len(value) < 8 {
		err = fault.New(fault.Invalid, "snmp settings of %s: %s is shorter than 8 characters", t.Device, what)
	}
	return value, err
}

// session is one conversation with an agent.
type session struct {
	g    *gosnmp.GoSNMP
	stop func() bool
}

// open makes the socket; nothing is sent yet. The library sees the end of ctx
// only between packets, so the socket is closed under it then.
func open(ctx context.Context, g *gosnmp.GoSNMP) (*session, error) {
	if err := g.Connect(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open a socket for SNMP")
	}
	conn := g.Conn
	return &session{g: g, stop: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

func (s *session) close() {
	s.stop()
	_ = s.g.Close() // may be closed already, and nothing is buffered
}

// ask does one request; an error after the end of the context is that end.
func (s *session) ask(do func() (*gosnmp.SnmpPacket, error)) (*gosnmp.SnmpPacket, error) {
	resp, err := do()
	if err != nil && s.g.Context.Err() != nil {
		return nil, s.g.Context.Err()
	}
	if err == nil && resp.PDUType != gosnmp.GetResponse {
		return nil, fault.New(fault.Other, "what answers is no SNMP agent: it sends a %s", resp.PDUType)
	}
	return resp, err
}

// agentError is an error status in an answer.
type agentError gosnmp.SNMPError

func (e agentError) Error() string { return "the agent answers " + gosnmp.SNMPError(e).String() }

// get reads scalars; what the agent does not have is missing in the result.
func (s *session) get(oids ...string) (map[string]gosnmp.SnmpPDU, error) {
	resp, err := s.ask(func() (*gosnmp.SnmpPacket, error) { return s.g.Get(oids) })
	if err != nil {
		return nil, err
	}
	if resp.Error != gosnmp.NoError {
		return nil, agentError(resp.Error)
	}
	out := make(map[string]gosnmp.SnmpPDU, len(oids))
	for _, v := range resp.Variables {
		if there(v) {
			out[v.Name] = v
		}
	}
	return out, nil
}

func there(v gosnmp.SnmpPDU) bool {
	switch v.Type {
	case gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView, gosnmp.Null:
		return false
	}
	return true
}

// row is one row of a table: column number → value.
type row map[string]gosnmp.SnmpPDU

// table reads a whole table by bulk requests, by index. A table that the agent
// does not have is empty. It ends where the agent says that nothing follows, or
// leaves the table: a value that is missing in the middle (NULL, as some agents
// answer for a cell that they cannot read) is that cell missing and nothing
// else. The library's own walk takes an error status for the end of the table;
// here it is an error, so that no half of a table passes for the whole.
func (s *session) table(entry string) (map[string]row, error) {
	rows := map[string]row{}
	at, reps, prefix := entry, s.g.MaxRepetitions, entry+"."
	for n, bytes := 0, 0; n < maxRows && bytes < maxTable; {
		resp, err := s.ask(func() (*gosnmp.SnmpPacket, error) { return s.g.GetBulk([]string{at}, 0, reps) })
		switch {
		case err != nil:
			return nil, err
		case resp.Error == gosnmp.TooBig && reps > 1:
			reps /= 2
			continue
		case resp.Error == gosnmp.NoSuchName:
			return rows, nil
		case resp.Error != gosnmp.NoError:
			return nil, agentError(resp.Error)
		case len(resp.Variables) == 0:
			return rows, nil
		}
		for _, v := range resp.Variables {
			rest, inside := strings.CutPrefix(v.Name, prefix)
			if !inside || v.Type == gosnmp.EndOfMibView {
				return rows, nil
			}
			if compare(v.Name, at) <= 0 {
				return nil, fault.New(fault.Other, "the agent goes in a circle at %s", v.Name)
			}
			at = v.Name
			n, bytes = n+1, bytes+size(v)
			if !there(v) {
				continue
			}
			column, index, _ := strings.Cut(rest, ".")
			if rows[index] == nil {
				rows[index] = row{}
			}
			rows[index][column] = v
		}
	}
	return nil, fault.New(fault.Exhausted, "the agent's table %s has more than %d values, or %d MiB", entry, maxRows, maxTable>>20)
}

// size is about what a value takes in memory, in bytes.
func size(v gosnmp.SnmpPDU) int {
	const rest = 64 // of the value itself and of its place in a row
	switch value := v.Value.(type) {
	case []byte:
		return rest + len(v.Name) + len(value)
	case string:
		return rest + len(v.Name) + len(value)
	}
	return rest + len(v.Name)
}

// compare orders OIDs number by number.
func compare(a, b string) int {
	a, b = strings.Trim(a, "."), strings.Trim(b, ".")
	for more, moreB := true, true; ; {
		var x, y string
		x, a, more = strings.Cut(a, ".")
		y, b, moreB = strings.Cut(b, ".")
		if len(x) != len(y) { // no leading zeros, so a longer number is larger
			return len(x) - len(y)
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		switch {
		case more && !moreB:
			return 1
		case !more && moreB:
			return -1
		case !more:
			return 0
		}
	}
}

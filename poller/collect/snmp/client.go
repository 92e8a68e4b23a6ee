package snmp

import (
	"fmt"
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/api"
	"midplane/fault"
	"midplane/poller/collect"
)

const (
	defaultPort    = 161
	retries        = 1
	maxRequestTime = 2 * time.Second
)

// client makes the library's client for t, secrets resolved, not yet connected.
// Its MaxRepetitions is 0 unless the target says how many values are asked for at once.
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
		Timeout: min(maxRequestTime, t.Timeout/(retries+2)),
	}
	if c.Port < 0 || c.Port > 65535 || c.MaxRepetition < 0 || c.MaxRepetition > 1000 {
		return nil, fault.New(fault.Invalid, "snmp settings of %s: port or maxRepetitions is out of range", t.Device)
	}
	if c.Port != 0 {
		g.Port = uint16(c.Port)
	}
	g.MaxRepetitions = uint32(c.MaxRepetition)
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

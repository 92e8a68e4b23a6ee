package tenants

import "midplane/api"

var (
	authProtocols = []string{"MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512"}
	privProtocols = []string{"DES", "AES", "AES192", "AES256", "AES192C", "AES256C"}
)

// snmpChecker checks the settings of SNMP of one device.
type snmpChecker struct {
	*problems
	path string // of the settings
}

func (c snmpChecker) settings(s api.SNMP) {
	inRange(c.problems, c.path+".port", s.Port, 1, 65535)
	inRange(c.problems, c.path+".maxRepetitions", s.MaxRepetition, 0, 255)
	c.text(c.path+".context", s.Context, 64)
	switch s.Version {
	case "2c":
		if s.Community == "" {
			c.add(c.path+".community", "add: community: env:NAME", "SNMP 2c needs a community")
		} else {
			c.secret(c.path+".community", "the community", s.Community)
		}
		for _, f := range [][2]string{{"user", s.User}, {"authProtocol", s.AuthProtocol}, {"authSecret", s.AuthSecret},
			{"privProtocol", s.PrivProtocol}, {"privSecret", s.PrivSecret}, {"context", s.Context}} {
			if f[1] != "" {
				c.addSecret(c.path+"."+f[0], `for version "3", or leave it out`, "%s has no meaning in SNMP 2c", f[0])
			}
		}
	case "3":
		c.version3(s)
	case "":
		c.add(c.path+".version", `add: version: "2c" and community, or version: "3" and user`, "the SNMP version is missing")
	default:
		c.oneOf(c.path+".version", s.Version, "2c", "3")
	}
}

func (c snmpChecker) version3(s api.SNMP) {
	if s.User == "" {
		c.add(c.path+".user", "add: user: NAME", "SNMP 3 needs a user")
	}
	c.text(c.path+".user", s.User, 32)
	if s.Community != "" {
		c.addSecret(c.path+".community", `for version "2c", or leave it out`, "community has no meaning in SNMP 3")
	}
	c.protocol("auth", s.AuthProtocol, s.AuthSecret, authProtocols)
	c.protocol("priv", s.PrivProtocol, s.PrivSecret, privProtocols)
	if s.PrivProtocol != "" && s.AuthProtocol == "" {
		c.add(c.path+".privProtocol", "add authProtocol and authSecret", "SNMP 3 has no privacy without authentication")
	}
}

// protocol checks a pair of protocol and secret.
func (c snmpChecker) protocol(what, protocol, secret string, allowed []string) {
	switch {
	case protocol == "" && secret == "":
	case protocol == "":
		c.addSecret(c.path+"."+what+"Secret", "add: "+what+"Protocol: "+allowed[1], "%sSecret needs %sProtocol", what, what)
	case secret == "":
		c.oneOf(c.path+"."+what+"Protocol", protocol, allowed...)
		c.add(c.path+"."+what+"Protocol", "add: "+what+"Secret: env:NAME", "%sProtocol needs %sSecret", what, what)
	default:
		c.oneOf(c.path+"."+what+"Protocol", protocol, allowed...)
		c.secret(c.path+"."+what+"Secret", what+"Secret", secret)
	}
}

package api

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"midplane/fault"
)

// Verbs about secrets, of the admin service and of the control channel.
const (
	SecretSet    = "secret.set"    // SetSecret → {}
	SecretList   = "secret.list"   // ListRequest → Page[Secret]
	SecretDelete = "secret.delete" // SecretRef → {}

	ChannelSecrets = "secrets" // SecretsRequest → SecretsAnswer
)

// SecretPrefix begins a reference to a secret that the control plane keeps.
const SecretPrefix = "secret:"

// MaxSecret is the longest value in bytes, MaxSecrets how many secrets a tenant
// may have: all of them together fit into one answer.
const (
	MaxSecret  = 1024
	MaxSecrets = 256
)

var secretNameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// CheckSecretName says whether s may name a secret. The error does not repeat s,
// which may be the secret itself, given in the wrong place.
func CheckSecretName(s string) error {
	if !secretNameRE.MatchString(s) {
		return fault.WithHint(fault.New(fault.Invalid, "that is not the name of a secret"), "use 1 to 63 of A-Z, a-z, 0-9, _ and -, first a letter or digit")
	}
	return nil
}

// CheckSecretValue says whether v may be a secret. The error never holds it.
func CheckSecretValue(v string) error {
	switch {
	case v == "":
		return fault.New(fault.Invalid, "the secret is empty")
	case len(v) > MaxSecret:
		return fault.New(fault.Invalid, "the secret has %d bytes, at most %d are allowed", len(v), MaxSecret)
	case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.ToValidUTF8(v, "") != v:
		return fault.WithHint(fault.New(fault.Invalid, "the secret has a line break, a control character or is not UTF-8"), "give one line of text")
	}
	return nil
}

// SecretName returns the name in a reference "secret:NAME".
func SecretName(ref string) (name string, ok bool) {
	name, ok = strings.CutPrefix(ref, SecretPrefix)
	return name, ok && CheckSecretName(name) == nil
}

// SetSecret stores a value under a name and replaces the one before.
type SetSecret struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	Value  string `json:"value"`
}

// SecretRef names a tenant's secret.
type SecretRef struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
}

// States of a secret.
const (
	SecretIsSet   = "set"
	SecretMissing = "missing" // referred to, but not set
)

// Secret describes a secret; it never holds the value.
type Secret struct {
	ID      string     `json:"id"` // tenant/name
	Tenant  string     `json:"tenant"`
	Name    string     `json:"name"`
	Status  string     `json:"status"`          // set missing
	SetAt   *time.Time `json:"setAt,omitempty"` // when the value was last set
	SetBy   string     `json:"setBy,omitempty"` // who set it
	Pollers []string   `json:"pollers"`         // the pollers whose configuration refers to it
}

// SecretsRequest asks for the secrets that the poller's own configuration refers
// to. It names no secret, so that a poller cannot ask for another's. Key is a
// public curve key that the poller has just made; the answer is sealed for it,
// since an answer can be aimed at any subject of the tenant. Have is the version
// that the poller holds, Want the lowest revision of the registry to answer from.
type SecretsRequest struct {
	Key  string `json:"key"`
	Have string `json:"have,omitempty"`
	Want uint64 `json:"want,omitempty"`
}

// SecretsAnswer holds Sealed, a JSON object of values by name, encrypted from
// Sender to SecretsRequest.Key (nkeys' curve keys). A name that is not set is
// left out. Unchanged means that Have is current.
type SecretsAnswer struct {
	Unchanged bool   `json:"unchanged,omitempty"`
	Version   string `json:"version"`
	Sender    string `json:"sender,omitempty"`
	Sealed    []byte `json:"sealed,omitempty"`
}

// Secrets returns the names of the secrets that the configuration refers to,
// in order, each once.
func (c PollerConfig) Secrets() []string {
	var out []string
	for _, d := range c.Devices {
		out = d.SNMP.AppendSecrets(out)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// AppendSecrets appends the names of the secrets that s refers to.
func (s *SNMP) AppendSecrets(names []string) []string {
	if s == nil {
		return names
	}
	for _, ref := range []string{s.Community, s.AuthSecret, s.PrivSecret} {
		if name, ok := SecretName(ref); ok && !slices.Contains(names[max(0, len(names)-3):], name) {
			names = append(names, name)
		}
	}
	return names
}

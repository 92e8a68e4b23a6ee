package tenants

import (
	"encoding/json"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/jsonfields"
)

// MaxSpec is the largest spec as JSON in bytes: it must fit into one request.
const MaxSpec = 900 << 10

// ParseJSON reads a spec that is to be stored: strictly, with defaults filled
// in, validated. The error is Invalid.
func ParseJSON(data []byte) (*Spec, error) { return parse(data, Options{}) }

// ParseStored reads a spec that is in the registry. What an older version
// stored is taken although a rule that came later would refuse it, and so are
// fields and values of a newer version: a tenant is not shut out for them. The
// error is Invalid.
func ParseStored(data []byte) (*Spec, error) { return parse(data, Options{Stored: true}) }

// CheckKnown refuses a stored spec with fields that this version does not know: a
// newer version stored it, and what this one writes in its place would lose them.
// The error is Conflict.
func CheckKnown(id event.Tenant, stored []byte) error {
	more := jsonfields.Unknown(stored, Spec{})
	if len(more) == 0 {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "tenant %s was stored by a newer version and has fields that are not known here: %s", id, strings.Join(more, ", ")),
		"use that version or a newer one; see: midplane upgrade status")
}

func parse(data []byte, opt Options) (*Spec, error) {
	if len(data) > MaxSpec {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the tenant's spec has %d bytes, at most %d are allowed", len(data), MaxSpec), "split the tenant in two")
	}
	var s Spec
	decode := api.DecodeStrict
	if opt.Stored {
		decode = api.Decode
	}
	if err := decode(data, &s); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tenant's spec")
	}
	s.normalise()
	if err := s.Validate(opt); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tenant's spec")
	}
	return &s, nil
}

// JSON returns the spec as ParseJSON reads it.
func (s *Spec) JSON() (json.RawMessage, error) {
	data, err := json.Marshal(s)
	return data, fault.Wrap(fault.Invalid, err, "encode tenant %s", s.ID)
}

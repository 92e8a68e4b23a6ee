package tenants

import (
	"encoding/json"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/jsonfields"
)

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
	return newer(id, jsonfields.Unknown(stored, Spec{}))
}

func parse(data []byte, opt Options) (*Spec, error) {
	var s Spec
	if err := decodeSpec(data, &s, opt); err != nil {
		return nil, err
	}
	s.normalise()
	if err := s.Validate(opt); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tenant's spec")
	}
	return &s, nil
}

func decodeSpec(data []byte, v any, opt Options) error {
	if len(data) > MaxSpec {
		return fault.New(fault.Invalid, "the tenant's spec has %d bytes in one piece, at most %d are allowed", len(data), MaxSpec)
	}
	decode := api.DecodeStrict
	if opt.Stored {
		decode = api.Decode
	}
	return fault.Wrap(fault.Invalid, decode(data, v), "tenant's spec")
}

// JSON returns the spec as ParseJSON reads it.
func (s *Spec) JSON() (json.RawMessage, error) {
	data, err := json.Marshal(s)
	return data, fault.Wrap(fault.Invalid, err, "encode tenant %s", s.ID)
}

package tenants

import (
	"encoding/json"

	"midplane/api"
	"midplane/fault"
)

// MaxSpec is the largest spec as JSON in bytes: it must fit into one request.
const MaxSpec = 900 << 10

// ParseJSON reads a spec as the control plane gets and keeps it: strictly, with
// defaults filled in, validated. The error is Invalid.
func ParseJSON(data []byte) (*Spec, error) {
	if len(data) > MaxSpec {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the tenant's spec has %d bytes, at most %d are allowed", len(data), MaxSpec), "split the tenant in two")
	}
	var s Spec
	if err := api.Decode(data, &s); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tenant's spec")
	}
	s.normalise()
	if err := s.Validate(Options{}); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tenant's spec")
	}
	return &s, nil
}

// JSON returns the spec as ParseJSON reads it.
func (s *Spec) JSON() (json.RawMessage, error) {
	data, err := json.Marshal(s)
	return data, fault.Wrap(fault.Invalid, err, "encode tenant %s", s.ID)
}

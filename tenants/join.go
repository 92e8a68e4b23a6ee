package tenants

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/jsonfields"
)

// Divided reports whether a stored spec is a head.
func Divided(data []byte) bool {
	if !bytes.Contains(data, []byte(`"parts"`)) {
		return false
	}
	var head struct {
		Parts json.RawMessage `json:"parts"`
	}
	return json.Unmarshal(data, &head) == nil && len(head.Parts) > 0
}

// ParseHead reads a head: strictly one that is to be stored, leniently one that is
// in the registry. The error is Invalid.
func ParseHead(data []byte, opt Options) (*Head, error) {
	var h Head
	if err := decodeSpec(data, &h, opt); err != nil {
		return nil, err
	}
	spec := (*Spec)(&h.headFields)
	spec.normalise()
	if err := spec.Validate(opt); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "tenant's spec")
	}
	for _, site := range h.Sites {
		if len(site.Devices) > 0 {
			return nil, fault.New(fault.Invalid, "tenant's spec: site %q has devices in the head", clip(string(site.ID)))
		}
	}
	return &h, nil
}

// ParsePart reads a part, as ParseHead reads a head. What belongs to the whole,
// as the poller that a device names, is not checked.
func ParsePart(data []byte, opt Options) (*Part, error) {
	var p Part
	if len(data) > MaxSpec {
		return nil, fault.New(fault.Invalid, "part of a tenant's spec: it has %d bytes, at most %d are allowed", len(data), MaxSpec)
	}
	if err := api.DecodeStrict(data, &p); err != nil {
		if !opt.Stored {
			return nil, fault.Wrap(fault.Invalid, err, "part of a tenant's spec")
		}
		p = Part{unknown: jsonfields.Unknown(data, Part{})}
		if err := api.Decode(data, &p); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "part of a tenant's spec")
		}
	}
	for i := range p.Devices {
		p.Devices[i].normalise()
	}
	found := &problems{}
	siteChecker{found, opt, names{}}.devices("part", Site{ID: p.Site, Devices: p.Devices})
	if err := join(found.mistakes()); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "part of a tenant's spec")
	}
	return &p, nil
}

// Join puts head and parts together; part returns the part of a name. A site's
// devices are in order of their ids. Nothing of the parts is changed.
func (h *Head) Join(part func(name string) (*Part, error)) (*Spec, error) {
	spec := Spec(h.headFields)
	spec.Sites = slices.Clone(h.Sites)
	for i := range spec.Sites {
		site := &spec.Sites[i]
		if n := len(h.Parts[site.ID]); n > 0 {
			site.Devices = make([]Device, 0, n*partDevices*3/4) // parts are between half full and full
		}
		for _, name := range h.Parts[site.ID] {
			p, err := part(name)
			if err != nil {
				return nil, err
			}
			if p.Site != site.ID {
				return nil, fault.New(fault.Invalid, "part %s is of site %q, not of %q", clip(name), clip(string(p.Site)), clip(string(site.ID)))
			}
			site.Devices = append(site.Devices, p.Devices...)
		}
		slices.SortFunc(site.Devices, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
	}
	return &spec, nil
}

// CheckKnown is the function of that name for a spec in parts.
func (h *Head) CheckKnown(stored []byte, part func(name string) (*Part, error)) error {
	more := jsonfields.Unknown(stored, Head{})
	for _, name := range h.Names() {
		if p, err := part(name); err == nil && len(p.unknown) > 0 {
			more = append(more, fmt.Sprintf("site %s: %s", p.Site, strings.Join(p.unknown, ", ")))
			break // one is enough
		}
	}
	return newer(h.ID, more)
}

func newer(id event.Tenant, more []string) error {
	if len(more) == 0 {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "tenant %s was stored by a newer version and has fields that are not known here: %s", id, strings.Join(more, ", ")),
		"use that version or a newer one; see: midplane upgrade status")
}

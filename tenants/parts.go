package tenants

import (
	"bytes"
	"cmp"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/spread"
)

// A spec with many devices is stored and sent as a head and parts. The head is the
// spec without devices, and names the parts; a part is some devices of one site,
// and its name is made from its content.

// Bounds of what is stored and sent.
const (
	// MaxDevices is how many devices a tenant may have.
	MaxDevices = 20_000
	// MaxWhole is up to how many bytes of JSON a spec is one value: that costs less
	// than parts do.
	MaxWhole = 64 << 10
	// MaxSpec is the largest spec in one value, and the largest head, in bytes of
	// JSON: either must fit into one request.
	MaxSpec = 900 << 10
	// MaxDevice is the largest device, and MaxAll what all devices of a tenant have
	// together, in bytes of JSON.
	MaxDevice = 64 << 10
	MaxAll    = 32 << 20

	// A part that has more than either is divided in two.
	partDevices = 128
	partBytes   = 128 << 10
)

// Head is a spec without its devices. Parts are the names of each site's parts.
type Head struct {
	Format int `json:"format"` // a version that knows no parts would see no devices
	headFields
	Parts map[event.Site][]string `json:"parts"`
}

// headFields are those of a Spec.
type headFields Spec

// Part is some devices of a site, in order of their ids.
type Part struct {
	Site    event.Site `json:"site"`
	Devices []Device   `json:"devices"`
	unknown []string   // fields of a newer version
}

// PartData is a part as it is stored and sent.
type PartData struct {
	Name string
	Data json.RawMessage
}

// InParts is a spec as a head and parts.
type InParts struct {
	Head  Head
	Parts []PartData
	Size  int // about how many bytes of JSON the spec has as one value
}

// Split divides a spec. The same devices give the same parts in whichever order
// they are declared: which part a device is in follows from the hash of its id, and
// a part with too many is divided by one more bit of it. So one device that is
// changed, added or removed changes one part, or divides one, or joins two. The
// error is Invalid: something is too large to be stored.
func (s *Spec) Split() (*InParts, error) {
	out := &InParts{Head: Head{Format: api.RegistryWithParts, headFields: headFields(*s), Parts: map[event.Site][]string{}}}
	out.Head.Sites = slices.Clone(s.Sites)
	for i := range out.Head.Sites {
		site := &out.Head.Sites[i]
		parts, size, err := splitSite(site)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			out.Head.Parts[site.ID] = append(out.Head.Parts[site.ID], p.Name)
		}
		out.Parts, out.Size = append(out.Parts, parts...), out.Size+size
		site.Devices = nil
	}
	if out.Size > MaxAll {
		return nil, fault.New(fault.Invalid, "the tenant's devices have %s as JSON, at most %s are allowed", Bytes(out.Size).Spaced(), Bytes(MaxAll).Spaced())
	}
	head, err := out.Head.JSON()
	if err != nil {
		return nil, err
	}
	if len(head) > MaxSpec {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the tenant has %d bytes of JSON without its devices, at most %d are allowed", len(head), MaxSpec),
			"its schemas, sites and subscriptions count: shorten the schemas, or put several sites together")
	}
	out.Size += len(head)
	return out, nil
}

// JSON returns the head as it is stored.
func (h *Head) JSON() (json.RawMessage, error) {
	data, err := json.Marshal(h)
	return data, fault.Wrap(fault.Invalid, err, "encode tenant %s", h.ID)
}

// Names are the names of all parts.
func (h *Head) Names() []string {
	var out []string
	for _, site := range h.Sites {
		out = append(out, h.Parts[site.ID]...)
	}
	return out
}

// placed is a device on its way into a part.
type placed struct {
	at   uint64 // hash of its id
	id   event.Entity
	data []byte
}

func splitSite(site *Site) (parts []PartData, size int, err error) {
	list := make([]placed, len(site.Devices))
	for i := range site.Devices {
		d := &site.Devices[i]
		data, err := json.Marshal(d)
		if err != nil {
			return nil, 0, fault.Wrap(fault.Invalid, err, "encode device %s/%s", site.ID, d.ID)
		}
		if len(data) > MaxDevice {
			return nil, 0, fault.WithHint(fault.New(fault.Invalid, "device %s/%s has %d bytes as JSON, at most %d are allowed", site.ID, d.ID, len(data), MaxDevice),
				"give it fewer checks, or shorter parameters")
		}
		list[i] = placed{placeOfDevice(d.ID), d.ID, data}
		size += len(data) + 1
	}
	slices.SortFunc(list, func(a, b placed) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
	name, err := json.Marshal(site.ID)
	if err != nil {
		return nil, 0, fault.Wrap(fault.Invalid, err, "encode site %s", site.ID)
	}
	divide(list, 63, func(part []placed) { parts = append(parts, encodePart(name, part)) })
	return parts, size, nil
}

func placeOfDevice(id event.Entity) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return spread.Mix(h.Sum64())
}

// divide calls with every part of a list that is in order of at and equal in all
// bits above bit.
func divide(list []placed, bit int, with func([]placed)) {
	size := 0
	for _, p := range list {
		size += len(p.data)
	}
	switch {
	case len(list) == 0:
	case bit < 0 || len(list) == 1 || len(list) <= partDevices && size <= partBytes:
		with(list)
	default:
		half, _ := slices.BinarySearchFunc(list, 1, func(p placed, _ int) int { return cmp.Compare(int(p.at>>bit&1), 1) })
		divide(list[:half], bit-1, with)
		divide(list[half:], bit-1, with)
	}
}

func encodePart(site []byte, list []placed) PartData {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
	var b bytes.Buffer
	b.WriteString(`{"site":`)
	b.Write(site)
	b.WriteString(`,"devices":[`)
	for i, p := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(p.data)
	}
	b.WriteString(`]}`)
	return PartData{Name: api.PartName(b.Bytes()), Data: b.Bytes()}
}

// Rename has the head name its parts by where they are, refs by name.
func (h *Head) Rename(refs map[string]string) {
	for _, names := range h.Parts {
		for i, name := range names {
			names[i] = refs[name]
		}
	}
}

// PartOf returns the name of the part that a stored head refers to. What follows in
// the reference is where it is stored.
func PartOf(ref string) string {
	name, _, _ := strings.Cut(ref, ".")
	return name
}

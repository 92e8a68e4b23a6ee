package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"midplane/fault"
)

// A spec with many devices does not fit into one message. Those who say that they
// read parts are given its head, which names the parts (package tenants), ask for
// those that they lack, and store it in the same way: first parts, then the head.

// ReadsParts in SpecRequest.Reads and ConfigRequest.Reads says that the answer may
// name parts.
const ReadsParts = "parts"

// MaxParts is how many parts one request names.
const MaxParts = 1000

// SpecRequest asks for a tenant's spec. A service that does not know Reads refuses
// the request, or answers as if it were left out.
type SpecRequest struct {
	Tenant string   `json:"tenant"`
	Reads  []string `json:"reads,omitempty"`
}

// SpecAnswer is a tenant's spec as the registry has it (package tenants, JSON).
type SpecAnswer struct {
	Spec     json.RawMessage `json:"spec"`
	Revision uint64          `json:"revision"`
}

// PutTenant stores a spec, whole or as a head whose parts are there already.
// Revision is what the caller saw, 0 when the tenant is new; another revision in
// the registry is a Conflict.
type PutTenant struct {
	Spec     json.RawMessage `json:"spec"`
	Revision uint64          `json:"revision"`
	// Overcommit promises more storage than there is.
	Overcommit bool `json:"overcommit,omitempty"`
}

// CheckTenant is PutTenant for what stores nothing. After is how many steps of the
// plan the caller has.
type CheckTenant struct {
	PutTenant
	After int `json:"after,omitempty"`
}

// PartsRequest asks for parts of a tenant's spec by the names that its head has.
type PartsRequest struct {
	Tenant string   `json:"tenant"`
	Parts  []string `json:"parts"`
}

// PartsAnswer has as many of them, in the same order, as fit into one message: one
// at least.
type PartsAnswer struct {
	Parts []json.RawMessage `json:"parts"`
}

// AnswerBytes is about how much of a list of unknown size is put into one answer.
const AnswerBytes = 512 << 10

// AnswerParts answers with as many of the named parts as fit.
func AnswerParts(names []string, part func(name string) (json.RawMessage, error)) (PartsAnswer, error) {
	out, size := PartsAnswer{Parts: []json.RawMessage{}}, 0
	if len(names) > MaxParts {
		return out, fault.New(fault.Invalid, "%d parts are asked for, at most %d are answered", len(names), MaxParts)
	}
	for _, name := range names {
		data, err := part(name)
		if err != nil {
			return out, err
		}
		if size += len(data); size > AnswerBytes && len(out.Parts) > 0 {
			break
		}
		out.Parts = append(out.Parts, data)
	}
	return out, nil
}

// Upload stores parts of a tenant's spec that the head of a PutTenant or
// CheckTenant is to name. Without one they are collected after a while.
type Upload struct {
	Tenant string            `json:"tenant"`
	Parts  []json.RawMessage `json:"parts"`
}

// TenantPlan is what storing a spec would change. The spec was checked as if it
// were to be stored.
type TenantPlan struct {
	Tenant   string       `json:"tenant"`
	Revision uint64       `json:"revision"` // of the spec in the registry, 0 when there is none
	Steps    []TenantStep `json:"steps"`
	More     bool         `json:"more,omitempty"` // further steps follow these
}

// TenantStep is one difference between two specs.
type TenantStep struct {
	Verb   string `json:"verb"` // create, change, remove
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

// PartName returns the name of a part with this content, of a spec or of a poller's
// configuration.
func PartName(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

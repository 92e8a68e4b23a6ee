// Package schemas holds the rules for schemas and the validators with which the
// ingress checks payloads.
//
// A Schema says what a message of one type may hold (JSON Schema, draft
// 2020-12). Compile turns it into a Validator: when our own streaming validator
// covers every keyword, that one, which makes one pass over the bytes without
// allocation; otherwise the jsonschema library. Tests compare the two, and the
// library is the judge. A Set holds the types that one tenant may publish.
// DESIGN.md gives the reasons.
//
// It may import event and fault, and nothing else of Midplane; it does no I/O.
package schemas

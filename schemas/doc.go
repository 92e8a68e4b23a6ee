// Package schemas holds the rules of the schema registry and the validators
// that keep them at the door.
//
// A Schema says what a message of one type may hold (JSON Schema, draft
// 2020-12). Compile turns it into a Validator: a streaming one of our own, one
// pass over the bytes without allocation, where every keyword is covered, the
// jsonschema library otherwise. The library is the judge: the two are tested
// against each other. A Set is what one tenant may publish. DESIGN.md says why.
//
// It may import event and fault, and nothing else of Midplane; it does no I/O.
package schemas

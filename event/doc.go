// Package event is the vocabulary of Midplane: the nouns every other package
// is written in. It imports the standard library and fault only, and nothing
// here does I/O.
//
// A poller at a customer's site looks at devices and says three kinds of
// thing about an entity: a state (the last known fact), a metric (samples over
// time) and an event (something happened). What it says is a typed JSON
// payload (payload.go) in an envelope (Event, CloudEvents 1.0 in binary mode,
// so that the payload is never touched). The tenant of a message is never in
// the envelope: it is the account, and so the connection, that it came from.
package event

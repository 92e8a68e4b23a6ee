// Package event is the vocabulary of Midplane: messages, their kinds, types and
// payloads, and the names of tenants, sites, producers and entities. It imports
// the standard library and fault only, and does no I/O.
//
// A poller at a customer's site looks at devices and sends three kinds of
// message about an entity: a state (the last known fact), a metric (samples over
// time) and an event (something happened). A message is a typed JSON payload
// (payload.go) in an envelope (Event, CloudEvents 1.0 in binary mode, so that
// the payload is never changed). The envelope never names the tenant: the
// account, and so the connection, that a message came from decides it.
package event

// Package crash holds one test: the whole system as separate processes, whose
// primary and poller are killed again and again while data flows, and in the
// end every event is there exactly once. It starts real programs through
// internal/testcluster and looks at what they left; nothing imports it.
package crash

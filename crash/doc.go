// Package crash holds tests of the whole system as separate processes, whose primary
// and poller, or whose nodes, are killed again and again while data flows, one of
// whose nodes stands still for a while, or one of whose replicas is damaged; in the end
// every message is there exactly once, and on every node.
// It starts real programs through internal/testcluster and looks at what they
// left; nothing imports it.
package crash

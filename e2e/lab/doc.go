// Package lab is the fault laboratory: it runs a whole deployment as processes,
// does to it what machines, networks and disks do to programs, and holds what is
// left against what was acknowledged.
//
// A Row says what is done, step by step, and what must come out. Each run prints
// its seed and the schedule with the nodes that were chosen, and can be repeated
// from that seed. Rows that must lose (nodes that do not sync) show that the
// laboratory would notice. "make lab" runs every row once, "make lab-long" three
// times with other seeds and longer waits.
//
// It needs root and /dev/fuse, and fails with a sentence without them. All traffic
// stays on loopback.
package lab

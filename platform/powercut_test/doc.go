// Package powercut holds the trials of a cluster whose nodes lose power
// together: what was acknowledged is there afterwards, and every stream has a
// leader again without an operator's help. Only tests are in it.
package powercut

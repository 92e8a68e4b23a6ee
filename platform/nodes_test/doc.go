// Package nodes tests what a cluster does while one of its nodes is cut off
// from the others, behind them, drained or replaced.
package nodes

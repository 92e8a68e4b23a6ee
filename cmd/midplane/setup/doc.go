// Package setup works on deployment folders, on this machine and without a
// cluster: it makes them, renews their certificates, and copies their keys for
// other tools. It runs no server, and the node is not linked into it.
package setup

// Package serve runs the servers: a node, a primary, a poller, or all of them in
// one process; and it asks a running one whether it is ready.
package serve

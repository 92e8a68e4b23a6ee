// Package change changes what a cluster is given to do: it compares tenants'
// files with the cluster, applies, edits and deletes them, sets their secrets,
// rotates their keys, and forgets a primary that is gone.
package change

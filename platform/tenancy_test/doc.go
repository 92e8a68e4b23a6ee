// Package tenancy holds the permission matrix as data, and proves it against a
// real cluster of three nodes: no tenant sees another, and nothing gets into a
// stream except through the ingress, by anything that a user of any role sends. Only
// tests and the documentation import it.
package tenancy

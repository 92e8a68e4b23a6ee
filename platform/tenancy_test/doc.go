// Package tenancy proves, against a real cluster of three nodes, that no
// tenant sees another and that nothing gets into a stream except through the
// ingress, whatever a user of any role sends. It holds tests only.
package tenancy

package connections

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"midplane/platform/node"
)

// limits are how many connections a tenant's users may have.
type limits struct{ perUser, total int }

// unlimited is a total that is never reached.
const unlimited = math.MaxInt

// connection is one of a tenant's users to one of the nodes.
type connection struct {
	node.Client
	at string // the node
}

// surplus is a connection to be closed.
type surplus struct {
	connection
	reason string
}

// Why a connection is closed.
const (
	surplusUser   = "user"
	surplusTenant = "tenant"
	surplusFlood  = "flood" // it keeps sending although it was asked to wait
)

// surplus picks the connections of users, the oldest first, that are too many. Of a user that has too many, the newest of the address
// that has the most goes: a stolen credential can neither push out the
// connection that its owner has, nor keep it out when it comes from elsewhere.
// Of a tenant that has too many, the user with the most loses its newest.
func (r limits) surplus(users []connection) (out []surplus) {
	byUser := map[string][]connection{}
	for _, c := range users {
		byUser[c.User] = append(byUser[c.User], c)
	}
	var rest []connection
	for _, conns := range byUser {
		for len(conns) > r.perUser {
			i := newestOfTheMost(conns, func(c connection) string { return c.Host })
			out = append(out, surplus{conns[i], surplusUser})
			conns = slices.Delete(conns, i, i+1)
		}
		rest = append(rest, conns...)
	}
	slices.SortFunc(rest, older)
	for len(rest) > r.total {
		i := newestOfTheMost(rest, func(c connection) string { return c.User })
		out = append(out, surplus{rest[i], surplusTenant})
		rest = slices.Delete(rest, i, i+1)
	}
	return out
}

// older orders by age; every node comes to the same order.
func older(a, b connection) int {
	return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.at, b.at), cmp.Compare(a.ID, b.ID))
}

// newestOfTheMost returns the place of the newest connection of the group that
// has the most; of equal groups, the one with the newest connection.
func newestOfTheMost(conns []connection, group func(connection) string) int {
	count := map[string]int{}
	for _, c := range conns {
		count[group(c)]++
	}
	best := len(conns) - 1
	for i := len(conns) - 1; i >= 0; i-- {
		if count[group(conns[i])] > count[group(conns[best])] {
			best = i
		}
	}
	return best
}

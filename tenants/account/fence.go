package account

import (
	"github.com/nats-io/jwt/v2"

	"midplane/subject"
)

// The fence around the JetStream API of a tenant.
//
// The server does not check where the answer to a permitted request goes, and
// some answers are empty: "404 No Messages", the answer to an ack, "{}". An
// empty message at $JS.API.STREAM.PURGE.EVENTS empties the stream, at
// …STREAM.DELETE… it deletes it. So a reader, who may only fetch, could aim the
// answer to a fetch there. Nothing in a tenant's account may therefore listen
// on those subjects: the server's own import of $JS.API.> is replaced by one
// that leads to fence.> in SYS, where only the harmless requests are mapped
// back to the API. The control plane has the whole API under a secret prefix.
const (
	apiAll   = "$JS.API.>"
	fenceAll = "fence.>"
)

// fenced are the requests that stay open under their own names: they read, or
// (CONSUMER.CREATE) need a body that no answer of the server has.
var fenced = []struct{ from, to string }{
	{"fence.CONSUMER.INFO.*.*", "$JS.API.CONSUMER.INFO.$1.$2"},
	{"fence.CONSUMER.CREATE.>", "$JS.API.CONSUMER.CREATE.>"},
	{"fence.STREAM.MSG.GET.*", subject.MsgGet("$1")},
}

// fenceImports are a tenant's two ways to the API.
func fenceImports(system string, capability subject.Capability) []*jwt.Import {
	return []*jwt.Import{
		// Shared, as the server's own import is: the API finds the account by it.
		{Name: "fence", Account: system, Subject: fenceAll, LocalSubject: apiAll, Type: jwt.Service, Share: true},
		{Name: "api", Account: system, Subject: apiAll, LocalSubject: jwt.RenamingSubject(capability.API() + ".>"), Type: jwt.Service, Share: true},
	}
}

// addFence makes SYS lead from the fence to the API.
func addFence(c *jwt.AccountClaims) {
	c.Exports.Add(&jwt.Export{Name: "fence", Subject: fenceAll, Type: jwt.Service, ResponseType: jwt.ResponseTypeSingleton})
	for _, f := range fenced {
		c.Mappings[jwt.Subject(f.from)] = []jwt.WeightedMapping{{Subject: jwt.Subject(f.to), Weight: 100}}
	}
}

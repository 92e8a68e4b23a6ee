package account

import (
	"github.com/nats-io/jwt/v2"

	"midplane/event"
	"midplane/subject"
)

// Role is a scoped signing key of an account: what its users may do.
type Role string

// The roles of a tenant's account. The last three belong to the system.
const (
	RolePoller    Role = "poller"
	RoleProducer  Role = "producer"
	RoleReader    Role = "reader"
	RoleApp       Role = "app"
	RoleInspector Role = "inspector"
	RoleIngress   Role = "ingress"
	RolePrimary   Role = "primary"
	RoleControl   Role = "control"
)

// The roles of CONTROL; RoleNode is also the one role of SYS.
const (
	RoleAdmin   Role = "admin"
	RoleCore    Role = "core"
	RoleQuery   Role = "query"
	RoleService Role = "service"
	RoleNode    Role = "node"
)

// TenantRoles, ControlRoles and SystemRoles list the roles of each account.
var (
	TenantRoles  = []Role{RolePoller, RoleProducer, RoleReader, RoleApp, RoleInspector, RoleIngress, RolePrimary, RoleControl}
	ControlRoles = []Role{RoleAdmin, RoleCore, RoleQuery, RoleService, RoleNode}
	SystemRoles  = []Role{RoleNode}
	// UserRoles are the ones an operator can give to a tenant's user.
	UserRoles = []Role{RolePoller, RoleProducer, RoleReader, RoleApp, RoleInspector}
)

// Renews reports whether users of a role renew their JWTs over the control
// channel. Primaries renew theirs over core.…, the system's own are made new by
// its nodes, and the rest live as long as an operator sets.
func (r Role) Renews() bool { return r == RolePoller || r == RoleApp || r == RoleInspector }

// RolesVersion is raised whenever a template below, or what an account's limits
// are made from, changes: accounts signed
// with an older one are signed again.
const RolesVersion = 4

// Names of the system's own users.
const (
	UserIngress = event.SystemPrefix + "ingress"
	UserControl = event.SystemPrefix + "control"
	UserNode    = event.SystemPrefix + "node"
	UserService = event.SystemPrefix + "service"
	// UserProbe is the producer by which nodes try their own doors, in the tenant for
	// that alone.
	UserProbe = event.SystemPrefix + "probe"
	// UserPrimary is followed by the primary's name.
	UserPrimary = event.SystemPrefix + "primary-"
)

// TagSubscription begins the tag that binds a reader to a durable consumer.
const TagSubscription = "sub:"

const (
	tcp       = jwt.ConnectionTypeStandard
	inProcess = jwt.ConnectionTypeInProcess
)

// perStream writes each pattern once for every stream, in place of "*S*".
func perStream(patterns ...string) jwt.StringList {
	var out jwt.StringList
	for _, s := range event.Streams {
		for _, p := range patterns {
			for i := range p {
				if p[i] == '@' {
					p = p[:i] + s + p[i+1:]
					break
				}
			}
			out = append(out, p)
		}
	}
	return out
}

func join(lists ...jwt.StringList) jwt.StringList {
	var out jwt.StringList
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// inboxOfName is the inbox of the user that connects.
func inboxOfName() string { return subject.InboxOf(subject.Named) }

func list(s ...string) jwt.StringList { return s }

func template(pub, sub jwt.StringList, connects ...string) jwt.UserPermissionLimits {
	t := jwt.NewUserScope().Template
	t.Pub.Allow, t.Sub.Allow = pub, sub
	t.AllowedConnectionTypes = connects
	return t
}

// tenantTemplates is the table of roles of a tenant's account. Every list is
// exact; nothing else is allowed. A reply subject is a write that the server
// does not check, so no role that a stranger may hold has more of $JS.API than
// it needs, and streams listen behind the capability.
func tenantTemplates(capability subject.Capability) map[Role]jwt.UserPermissionLimits {
	produce := list(subject.InPrefix(subject.Named) + ">")
	control := list(subject.ControlOf(subject.Named, ">"))
	read := perStream(
		"$JS.API.CONSUMER.INFO.@.{{name()}}_{{tag(sub)}}",
		"$JS.API.CONSUMER.MSG.NEXT.@.{{name()}}_{{tag(sub)}}",
		"$JS.ACK.@.{{name()}}_{{tag(sub)}}.>")
	// CONSUMER.DELETE leads nowhere (see fence.go). It is listed because stock
	// clients' ordered consumers ask for it whenever they begin again: without it
	// each time would be a violation in the log, among which a real one is lost.
	readAll := perStream("$JS.API.CONSUMER.CREATE.@.>", "$JS.API.CONSUMER.INFO.@.>", "$JS.API.CONSUMER.DELETE.@.>",
		"$JS.API.CONSUMER.MSG.NEXT.@.>", subject.MsgGet("@"))
	inbox := list(inboxOfName())
	return map[Role]jwt.UserPermissionLimits{
		RolePoller:    template(join(produce, control), join(inbox, list(subject.Hint(subject.Named))), tcp),
		RoleProducer:  template(produce, inbox, tcp),
		RoleReader:    template(read, inbox, tcp),
		RoleApp:       template(join(produce, read, control), inbox, tcp),
		RoleInspector: template(join(produce, read, control, readAll, perStream("$JS.ACK.@.>")), inbox, tcp),
		// A template beside a queue entry would silently drop the queue entry, so
		// the ingress' inbox is written out.
		RoleIngress: template(list(capability.Prefix()+">", subject.InboxAll), list(subject.IngressAll+" ingress", subject.InboxOf(UserIngress)), inProcess),
		RolePrimary: template(readAll, inbox, tcp, inProcess),
		RoleControl: template(list(capability.API()+".>", subject.MsgGet("*"), "$JS.SNAPSHOT.>", capability.Prefix()+">", subject.HintAll, subject.CanaryAll),
			join(inbox, list("$JS.EVENT.ADVISORY.>", subject.CanaryAll)), inProcess),
	}
}

// templatesOf is the table of roles of a tenant's account. The only producers of the
// tenant in which nodes try their doors are the nodes themselves.
func templatesOf(id event.Tenant, capability subject.Capability) map[Role]jwt.UserPermissionLimits {
	out := tenantTemplates(capability)
	if id == event.ProbeTenant {
		probes := out[RoleProducer]
		probes.AllowedConnectionTypes = []string{inProcess}
		out[RoleProducer] = probes
	}
	return out
}

// controlTemplates is the table of roles of CONTROL. A connection that answers
// never asks, and the asking one never answers.
func controlTemplates() map[Role]jwt.UserPermissionLimits {
	answers := list(subject.InboxAll, "_R_.>")
	return map[Role]jwt.UserPermissionLimits{
		RoleAdmin:   template(list(subject.Request(subject.DoorAdmin, subject.Named, ">"), subject.Request(subject.DoorQuery, subject.Named, ">"), "$SRV.>"), list(inboxOfName()), tcp, inProcess),
		RoleCore:    template(list(subject.Request(subject.DoorCore, subject.Named, ">")), list(inboxOfName()), tcp, inProcess),
		RoleQuery:   template(answers, list(subject.DoorAll(subject.DoorQuery), "$SRV.>"), tcp, inProcess),
		RoleService: template(answers, list(subject.ControlLocal, subject.DoorAll(subject.DoorAdmin), subject.DoorAll(subject.DoorCore), subject.DoorAll(subject.DoorEnrol), "$SRV.>"), inProcess),
		RoleNode:    template(nodePublishes(), list(inboxOfName()), inProcess),
	}
}

// nodeStreams are the streams of CONTROL that nodes use.
var nodeStreams = []string{"KV_REGISTRY", "KV_STATUS", "AUDIT"}

// nodePublishes is what a node's own user of CONTROL may ask. It makes the
// streams that nodes use and reads them; it can neither delete, purge nor change
// one, so that what is in the audit log stays there.
func nodePublishes() jwt.StringList {
	out := list("$JS.API.INFO", "$KV.REGISTRY.>", "$KV.STATUS.>", subject.AuditAll, "$JS.FC.>")
	for _, s := range nodeStreams {
		out = append(out, "$JS.API.STREAM.CREATE."+s, "$JS.API.STREAM.INFO."+s, subject.MsgGet(s), "$JS.API.DIRECT.GET."+s, "$JS.API.DIRECT.GET."+s+".>",
			"$JS.API.CONSUMER.CREATE."+s+".>", "$JS.API.CONSUMER.INFO."+s+".>", "$JS.API.CONSUMER.MSG.NEXT."+s+".>", "$JS.API.CONSUMER.DELETE."+s+".>")
	}
	return out
}

// systemTemplates: only nodes have a user in SYS; over TCP before its own
// server runs (to merge its peers' JWTs), then in-process.
func systemTemplates() map[Role]jwt.UserPermissionLimits {
	return map[Role]jwt.UserPermissionLimits{
		RoleNode: template(list("$SYS.REQ.>"), list(inboxOfName(), "$SYS.ACCOUNT.>", "$SYS.SERVER.>"), tcp, inProcess),
	}
}

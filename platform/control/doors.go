package control

import (
	"midplane/api"
	"midplane/platform/control/service"
	"midplane/subject"
)

// doors is what this node answers, and which room does.
func (r rooms) doors() service.Doors {
	admin := r.adminVerbs()
	for verb, h := range admin {
		admin[verb] = r.admin.Guard(verb, h)
	}
	return service.Doors{
		subject.DoorAdmin:   admin,
		subject.DoorCore:    r.coreVerbs(),
		subject.DoorControl: r.channel.Verbs(),
		subject.DoorEnrol:   {"redeem": r.enrolment.Redeem},
	}
}

// adminVerbs is what operators may ask.
func (r rooms) adminVerbs() map[string]api.Handler {
	return map[string]api.Handler{
		api.TenantSpec:   service.Handle(r.specs.Get),
		api.TenantPut:    service.Handle(r.specs.Put),
		api.TenantCheck:  service.Handle(r.specs.Check),
		api.TenantParts:  service.Handle(r.specs.Parts),
		api.TenantUpload: service.Handle(r.specs.Upload),
		api.TenantDelete: service.Handle(r.specs.Delete),
		api.SpaceCheck:   service.Handle(r.specs.Space),

		api.UpgradeStatus: service.Handle(r.upgrade.Status),
		api.UpgradeFinish: service.Handle(r.upgrade.Finish),
		api.NodeDrop:      service.Handle(r.upgrade.Forget),
		api.NodeDrain:     service.Handle(r.drain.Drain),
		api.NodeUndrain:   service.Handle(r.drain.Undrain),

		api.SecretSet:    service.Handle(r.secrets.Set),
		api.SecretList:   service.List(r.secrets.Rows),
		api.SecretDelete: service.Handle(r.secrets.Delete),

		api.UserCreate:      service.Handle(r.users.Create),
		api.UserList:        service.List(r.users.Rows),
		api.UserRevoke:      service.Handle(r.users.Revoke),
		api.UserDelete:      service.Handle(r.users.Delete),
		api.UserSubscribe:   service.Handle(r.users.Subscribe),
		api.UserUnsubscribe: service.Handle(r.users.Unsubscribe),
		api.TokenCreate:     service.Handle(r.tokens.Create),
		api.TokenList:       service.List(r.tokens.Rows),
		api.TokenRevoke:     service.Handle(r.tokens.Revoke),

		api.RotateKeys:       service.Handle(r.rotations.Keys),
		api.RotateCapability: service.Handle(r.rotations.Capability),
		api.RotateFinish:     service.Handle(r.rotations.Finish),
		api.RotationList:     service.List(r.rotations.Rows),

		api.NodeStatus:   service.Handle(r.status.Cluster),
		api.TenantStatus: service.Handle(r.status.Tenant),
		api.TenantList:   service.List(r.status.Tenants),
		api.SiteList:     service.List(r.status.Sites),
		api.PollerList:   service.List(r.status.Pollers),
		api.StreamList:   service.List(r.status.Streams),
		api.ReplicaList:  service.List(r.replicas.Rows),
		api.LimitList:    service.Handle(r.status.Limits),
		api.SchemaList:   service.List(r.status.Schemas),
		api.PrimaryDrop:  service.Handle(r.primaries.Drop),

		api.ReplicaVerifyVerb: service.Handle(r.replicas.Verify),
		api.ReplicaRepairVerb: service.Handle(r.replicas.Repair),

		api.AuditList:   service.Handle(r.audit.List),
		api.AuditFollow: service.Handle(r.audit.Follow),
		api.AuditReport: service.Handle(r.audit.Report),
	}
}

// coreVerbs is what primaries may ask.
func (r rooms) coreVerbs() map[string]api.Handler {
	return map[string]api.Handler{
		api.CoreTenants:     service.Handle(r.primaries.Tenants),
		api.CoreCredentials: service.Handle(r.primaries.Credentials),
		api.CoreCursor:      service.Handle(r.primaries.Cursor),
		api.CoreFinding:     service.Handle(r.primaries.Finding),
		api.CoreResend:      service.Handle(r.primaries.Resend),
		api.CoreUnderstands: service.Handle(r.upgrade.Understood),
		api.CoreLoad:        service.Handle(r.load.Here),
		api.CoreMissing:     service.Handle(r.missing.Missing),

		api.CoreReplicas:      service.Handle(r.replicas.Here),
		api.CoreReplicaVerify: service.Handle(r.replicas.VerifyHere),
		api.CoreReplicaRepair: service.Handle(r.replicas.RepairHere),
		api.CoreReplicaSum:    service.Handle(r.replicas.SumHere),

		api.AuditReport: service.Handle(r.audit.Report),
	}
}

package tenancy_test

import (
	"strings"
	"testing"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
	"midplane/tenants/account"
)

// In CONTROL, too, who asks chooses where the answer goes; whoever answers may
// send answers only. The registry stays as it is.
func TestAnswersAimedAtTheRegistry(t *testing.T) {
	w := shared
	revision := func() uint64 {
		var s api.ClusterStatus
		if err := w.cluster.Admin.Do(ctxOf(t), api.NodeStatus, struct{}{}, &s); err != nil {
			t.Fatal(err)
		}
		return s.Revision
	}
	key := w.accountKey(t, acme)
	for _, who := range []struct {
		creds   string
		subject string
		bodies  []string
	}{
		{deployment.PrimaryCreds(w.cluster.Deployment(), account.RoleCore), "core." + testcluster.Primary + ".",
			[]string{`tenants {"known":0}`, `cursor {"tenant":"acme","reading":false,"cursors":[]}`, `credentials {"tenant":"acme","publicKey":""}`, `nonsense {}`, `tenants nonsense`}},
		{deployment.AdminCreds(w.cluster.Deployment(), testcluster.Admin), "admin." + testcluster.Admin + ".",
			[]string{`tenant.list {}`, `tenant.spec {"tenant":"acme"}`, `node.status {}`, `tenant.delete {"tenant":"nobody"}`, `user.create {}`}},
	} {
		c := dialCorner(t, w.cluster.Servers()[0], who.creds, ".wire")
		defer c.close()
		for _, aim := range []string{
			"$KV.REGISTRY.spec.acme", "$KV.REGISTRY.account.acme", "$KV.STATUS.lease", "$JS.API.STREAM.PURGE.KV_REGISTRY", "$JS.API.STREAM.DELETE.KV_REGISTRY", "$JS.API.STREAM.DELETE.KV_STATUS",
			"admin.admin.tenant.delete", "core." + testcluster.Primary + ".cursor", "control." + key + ".syd-02.status", "query.admin.devices", "enrol.x", "$SYS.REQ.CLAIMS.UPDATE", "audit.x", "command.x", "_R_.x",
		} {
			was := revision()
			w.attack(t, c.creds.Name+" having answers sent to "+aim, 0, func() {
				for _, b := range who.bodies {
					verb, body, _ := strings.Cut(b, " ")
					c.pub(who.subject+verb, aim, "", body)
				}
				c.sync()
				c.take()
				// The same once more, for oneself: what was asked before is answered by then.
				verb, body, _ := strings.Cut(who.bodies[0], " ")
				if got := c.request(who.subject+verb, "", body); got.header != "" {
					t.Errorf("%s: %q", who.subject+verb, got.header)
				}
			})
			if now := revision(); now != was {
				t.Errorf("aimed at %s: the registry went from revision %d to %d", aim, was, now)
			}
		}
		for _, subject := range []string{"$KV.REGISTRY.spec.acme", "$JS.API.STREAM.PURGE.KV_REGISTRY", "$JS.API.STREAM.INFO.KV_REGISTRY", "admin.other.tenant.list", "core.other.tenants", "control." + key + ".syd-01.config", "$SYS.REQ.SERVER.PING", "_R_.x", "_INBOX.other.x"} {
			w.attack(t, c.creds.Name+" publishing to "+subject, 0, func() {
				c.pub(subject, c.inbox(), "", "{}")
				c.sync()
				if got, errs := c.take(); len(got) > 0 || !contains(errs, "Violation") {
					t.Errorf("%s: not refused: %v %v", subject, got, errs)
				}
			})
		}
	}
	if _, err := api.All[api.Tenant](ctxOf(t), w.cluster.Admin.Do, api.TenantList, api.ListRequest{}); err != nil {
		t.Error(err)
	}
}

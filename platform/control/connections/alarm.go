package connections

import (
	"context"
	"fmt"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/dial"
	"midplane/platform/registry"
)

// raiseAlarm reports, once in a while, that the connections of the user name are closed.
func (l *Limiter) raiseAlarm(ctx context.Context, t *registry.Tenant, s surplus, name string) {
	if !l.alarms.Due(string(t.ID)+"/"+name+"/"+s.reason, alarmEvery) {
		return
	}
	q := t.Spec.Quota
	message := fmt.Sprintf("user %s has more than %d connections, the last to node %s from %s; what is more is closed", name, q.ConnectionsPerUser, l.cfg.Node, s.Host)
	hint := "is it one program? share a connection, or raise quota.connectionsPerUser; if its credentials were stolen, revoke it"
	if s.reason == surplusTenant {
		message = fmt.Sprintf("the tenant has more than %d connections; the newest of user %s, which has the most, are closed", q.Connections, name)
		hint = "raise quota.connections, or find out who connects so often"
	}
	if s.reason == surplusFlood {
		message = fmt.Sprintf("producer %s keeps sending although it was asked to wait; node %s shuts it out for a while, longer each time", name, l.cfg.Node)
		hint = "honour \"retry in\" of refusals with code 429, or raise quota.producerMessageRate and messageRate"
	}
	l.tel.Log.Warn("connections are closed", "tenant", t.ID, "user", name, "reason", s.reason, "from", s.Host)
	id := fmt.Sprintf("connections/%s/%s/%s/%d", l.cfg.Node, name, s.reason, time.Now().Unix()/int64(alarmEvery.Seconds()))
	go func() { // the streams may take their time, and connections do not wait
		l.cfg.Audit.Record(ctx, api.AuditRecord{Verb: "connection.close", Tenant: string(t.ID), Target: name, Detail: message})
		rctx, cancel := dial.Request(ctx)
		defer cancel()
		if err := l.cfg.Alarms.Raise(rctx, t, id, event.Warning, event.Alarm{Alarm: "connections", Source: "node " + l.cfg.Node, Message: message, Hint: hint}); err != nil {
			l.alarms.Forget(string(t.ID) + "/" + name + "/" + s.reason)
			l.tel.Log.Debug("alarm not stored", "tenant", t.ID, "error", err)
		}
	}()
}

package alarm

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// Message builds a message of the system's own, stamped as the ingress would.
func Message(t *registry.Tenant, k event.Kind, sev event.Severity, site event.Site, entity event.Entity, typ event.Type, id string, payload any) *nats.Msg {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	data, _ := json.Marshal(payload) // our own structs
	version := "1"
	if e, ok := t.Schemas.Lookup(typ); ok {
		version = fmt.Sprint(e.Schema.Version)
	}
	st := subject.In{Kind: k, Severity: sev, Entity: entity, Type: typ}.StoredAs(site)
	return &nats.Msg{Subject: t.Capability.Subject(st), Data: data, Header: nats.Header{
		event.HeaderMsgID: {id}, event.HeaderSpecVersion: {"1.0"}, event.HeaderID: {id}, event.HeaderType: {string(typ)},
		event.HeaderSource: {account.UserControl}, event.HeaderTime: {now}, event.HeaderReceived: {now},
		event.HeaderProducer: {account.UserControl}, event.HeaderSite: {string(site)}, event.HeaderSchemaVersion: {version},
		event.HeaderContentType: {"application/json"}, event.HeaderGuard: {event.GuardLevel},
	}}
}

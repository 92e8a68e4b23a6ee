package node

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/internal/testwait"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// No user takes anything out of the audit log, nodes' own users included: they
// may append and read.
func TestAuditLogIsAppendOnly(t *testing.T) {
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc := as(t, c.nodes[0].Node, c.control, account.RoleNode, account.UserNode, true)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	log, err := registry.OpenAudit(ctx, js, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		rec := api.AuditRecord{ID: fmt.Sprint("act-", i), Who: "ann", Verb: "tenant.put", Result: api.AuditOK}
		testwait.Until(t, "appended", func() error { return log.Append(ctx, rec) })
		testwait.Until(t, "appended again", func() error { return log.Append(ctx, rec) }) // is there once
	}
	whole := func(what string) {
		t.Helper()
		var ids []string
		testwait.Until(t, what, func() error {
			ids = nil
			return log.Read(ctx, 1, 3, 5*time.Second, func(r api.AuditRecord) bool { ids = append(ids, r.ID); return true })
		})
		if first, last, _, err := log.Bounds(ctx); err != nil || first != 1 || last != 3 || fmt.Sprint(ids) != "[act-0 act-1 act-2]" {
			t.Fatalf("%s: %v, %d to %d, %v", what, ids, first, last, err)
		}
	}
	whole("before")
	s, err := js.Stream(ctx, registry.StreamAudit)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if cfg.Replicas != 3 || cfg.Storage != jetstream.FileStorage || !cfg.DenyDelete || !cfg.DenyPurge || cfg.MaxAge != 0 || cfg.MaxBytes <= 0 || cfg.AllowRollup || cfg.AllowMsgTTL {
		t.Errorf("%+v", cfg)
	}
	changed := func(change func(*jetstream.StreamConfig)) string {
		next := cfg
		change(&next)
		data, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, x := range []struct{ subject, body string }{
		{"$JS.API.STREAM.PURGE.AUDIT", ""},
		{"$JS.API.STREAM.DELETE.AUDIT", ""},
		{"$JS.API.STREAM.MSG.DELETE.AUDIT", `{"seq":2}`},
		{"$JS.API.STREAM.UPDATE.AUDIT", changed(func(c *jetstream.StreamConfig) { c.DenyDelete, c.DenyPurge = false, false })},
		{"$JS.API.STREAM.UPDATE.AUDIT", changed(func(c *jetstream.StreamConfig) { c.MaxAge = time.Second })},
		{"$JS.API.STREAM.UPDATE.AUDIT", changed(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })},
		{"$JS.API.STREAM.UPDATE.AUDIT", changed(func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })},
		{"$JS.API.STREAM.CREATE.AUDIT", changed(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })},
		{"$JS.API.STREAM.CREATE.THIEF", `{"name":"THIEF","subjects":["audit.>"],"num_replicas":3,"max_bytes":1000}`},
		{"$JS.API.STREAM.RESTORE.AUDIT", `{}`},
		{"$JS.API.STREAM.SNAPSHOT.AUDIT", `{"deliver_subject":"_INBOX.x"}`},
		{"$JS.API.STREAM.PEER.REMOVE.AUDIT", `{"peer":"n1"}`},
		{"$JS.API.ACCOUNT.PURGE." + c.control.Public, ""},
	} {
		msg, err := nc.Request(x.subject, []byte(x.body), 500*time.Millisecond)
		if err == nil {
			var answer struct {
				Error *struct{} `json:"error"`
			}
			if json.Unmarshal(msg.Data, &answer) != nil || answer.Error == nil {
				t.Errorf("%s %s: %s", x.subject, x.body, msg.Data)
			}
		}
		whole(x.subject)
	}
	for name, value := range map[string]string{"Nats-Rollup": "all", "Nats-TTL": "1s", "Nats-Schedule": "@at 2020-01-01T00:00:00Z"} {
		if _, err := js.PublishMsg(ctx, &nats.Msg{Subject: "audit.ann.x", Header: nats.Header{name: {value}}, Data: []byte("{}")}); err == nil {
			t.Errorf("%s is taken", name)
		}
		whole(name)
	}
}

package api

import (
	"context"
	"encoding/json"
	"testing"

	"midplane/fault"
)

// A service of v0.1.0 refuses a field that it does not know, and still answers.
func TestAnOldServiceIsAskedWithoutNewFields(t *testing.T) {
	var asked []string
	old := func(_ context.Context, _ string, req, resp any) error {
		body, err := json.Marshal(req)
		if err != nil {
			return err
		}
		asked = append(asked, string(body))
		var known struct {
			Tenant, Site, After string
			Limit               int
		}
		if err := DecodeStrict(body, &known); err != nil {
			return err
		}
		if known.After == "bad" {
			return fault.New(fault.Invalid, "not where a page ended")
		}
		return json.Unmarshal([]byte(`{"items":[{"id":"r1","status":"up","name":"Core"},{"id":"r2","status":"down","poller":"p1"}]}`), resp)
	}
	rows, err := All[Device](context.Background(), old, DeviceList, ListRequest{Tenant: "acme", Name: "r1"})
	if err != nil || len(rows) != 2 || len(asked) != 2 || asked[1] != `{"tenant":"acme"}` {
		t.Fatalf("%v, %v, asked %v", rows, err, asked)
	}
	for _, req := range []ListRequest{{Status: "up"}, {Search: "CORE r"}, {Poller: "p1"}, {Status: "down", Poller: "p1", Search: "2"}} {
		want := "r1"
		if req.Poller != "" {
			want = "r2"
		}
		if rows, err := All[Device](context.Background(), old, DeviceList, req); err != nil || len(rows) != 1 || rows[0].ID != want {
			t.Errorf("%+v: %v, %v", req, rows, err)
		}
	}
	asked = nil
	if _, err := List[Device](context.Background(), old, DeviceList, ListRequest{After: "bad"}); !fault.Is(err, fault.Invalid) || len(asked) != 1 {
		t.Fatalf("%v, asked %v", err, asked)
	}
}

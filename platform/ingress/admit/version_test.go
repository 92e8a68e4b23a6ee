package admit

import (
	"testing"

	"midplane/event"
	"midplane/schemas"
	"midplane/schemas/catalog"
)

// A message is stamped with the version that it was held against, and what the
// present version takes, a door of the version before refuses as it always did.
func TestAdmitStampsTheVersionOfOurOwnTypes(t *testing.T) {
	in := Input{Subject: "in.syd-01.state.r1." + string(event.TypeReachability), Reply: inbox, Data: []byte(`{"device":"r1","status":"up","method":"dns"}`)}
	door := acme()
	a, r := admit(door, "syd-01", in)
	if r != nil {
		t.Fatal(r.Description)
	}
	if got := first(a.Msg.Header, event.HeaderSchemaVersion); got != "2" {
		t.Errorf("stamped with version %q", got)
	}
	was, ok := catalog.Earlier(event.TypeReachability, 1)
	if !ok {
		t.Fatal("there is no version 1")
	}
	old, err := schemas.NewSet([]schemas.Schema{was.Schema})
	if err != nil {
		t.Fatal(err)
	}
	door.Schemas = old
	a, r = admit(door, "syd-01", in)
	wantRefusal(t, a, r, CodeSchema, "/method", "enum")
}

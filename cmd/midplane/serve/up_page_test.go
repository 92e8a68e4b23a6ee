package serve

import (
	"strings"
	"testing"

	"midplane/cmd/midplane/shell/output"
	"midplane/console/access"
	"midplane/fault"
)

// TestUpPrintsALoginLink: on loopback a link that works once; where other
// machines can reach the page, none.
func TestUpPrintsALoginLink(t *testing.T) {
	data := t.TempDir()
	users, err := access.Open(access.Folder(data))
	if err != nil {
		t.Fatal(err)
	}
	say := func(addr string) string {
		t.Helper()
		var out strings.Builder
		u := &upRun{out: &output.Output{Stdout: &out}, data: data}
		u.flags.HTTP = addr
		if err := u.sayPage("http://127.0.0.1:8480/", users); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := say("127.0.0.1:8480")
	_, rest, ok := strings.Cut(text, "http://127.0.0.1:8480/#login=")
	if !ok || !strings.Contains(text, "midplane console link --data "+data) {
		t.Fatalf("%s", text)
	}
	code := strings.Fields(rest)[0]
	k := access.NewKeeper(users, access.Config{})
	if _, who, err := k.Redeem(code, access.Try{}); err != nil || who.Role != access.Admin {
		t.Errorf("%+v %v", who, err)
	}
	if _, _, err := k.Redeem(code, access.Try{}); !fault.Is(err, fault.Denied) {
		t.Errorf("used twice: %v", err)
	}
	if text := say("0.0.0.0:8480"); strings.Contains(text, "#login=") || !strings.Contains(text, "midplane console link") {
		t.Errorf("%s", text)
	}
}

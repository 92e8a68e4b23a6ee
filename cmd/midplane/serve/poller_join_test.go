package serve

import (
	"context"
	"strings"
	"testing"

	"midplane/cmd/midplane/shell"
	"midplane/event"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

// A token that is pasted comes in lines, and ends when it is whole, whether or
// not standard input ends then.
func TestReadToken(t *testing.T) {
	keys, err := account.NewKeys(account.EnrolRoles)
	if err != nil {
		t.Fatal(err)
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := account.IssueUser(keys, account.RoleToken, account.User{Name: "t1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	word, err := enrol.Token{Tenant: event.Tenant("acme"), Poller: "syd-01", Servers: []string{"nats://127.0.0.1:4222"}, JWT: jwt, Seed: seed}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	broken := word[:80] + "\n" + word[80:160] + "\r\n  " + word[160:] + "\n"
	for name, in := range map[string]string{"one line": word + "\n", "no line end": word, "broken": broken, "something after it": word + "\nls -l\n", "broken, something after it": broken + "ls -l\n"} {
		sh := &shell.Shell{Stdin: strings.NewReader(in)}
		text, err := readToken(context.Background(), sh)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tok, err := enrol.Parse(text); err != nil || tok.ID != "t1" {
			t.Errorf("%s: %v", name, err)
		}
	}
	sh := &shell.Shell{Stdin: strings.NewReader("one\ntwo\n")}
	if text, err := readToken(context.Background(), sh); err != nil || text != "onetwo" {
		t.Errorf("%q %v", text, err)
	}
}

package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"testing"
)

// Subjects of Midplane's own, and of the server's that are asked or listened to.
var (
	ownSubject    = regexp.MustCompile(`^(in|w|hint|control|core|admin|query|enrol|canary|audit)\.([>*%{]|$)|^(in|hint)\.[a-z0-9%<-]+\.|^_INBOX\b`)
	serverSubject = regexp.MustCompile(`^\$(JS|SYS|KV|SRV|G)\.`)
)

// serverSubjects are the packages that may name the server's subjects, and why.
var serverSubjects = map[string]string{
	"tenants/account":              "permissions are lists of them",
	"platform/node":                "a node asks its peers' servers for the accounts' JWTs",
	"platform/control/connections": "the servers are asked who is connected",
	"internal/testcluster":         "tests change accounts behind the control plane's back",
}

// foreign are not parts of Midplane: they show what any client has to do.
var foreign = map[string]bool{"docs/examples/publish": true}

// Subjects are built and read in package subject: a string that looks like one
// anywhere else is a second place that has to be changed with it.
func TestSubjectsAreBuiltInOnePlace(t *testing.T) {
	used := map[string]bool{}
	code := func(file, dir string) bool { return !isTest(file) && dir != "subject" && !foreign[dir] }
	eachNode(t, code, func(n node) {
		lit, ok := n.Node.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		text, err := strconv.Unquote(lit.Value)
		switch {
		case err != nil:
			t.Fatal(err)
		case ownSubject.MatchString(text):
			t.Errorf("%s: %s looks like a subject; build it in package subject", n.at(), lit.Value)
		case serverSubject.MatchString(text):
			used[n.dir] = true
			if serverSubjects[n.dir] == "" {
				t.Errorf("%s: %s is a subject of the server's; build it in package subject, or say in serverSubjects why not", n.at(), lit.Value)
			}
		}
	})
	for dir := range serverSubjects {
		if !used[dir] {
			t.Errorf("%s names no subject of the server's: take it out of serverSubjects", dir)
		}
	}
}

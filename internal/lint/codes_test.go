package lint

import (
	"go/ast"
	"go/token"
	"strconv"
	"testing"
)

// coded are the packages that may hold one of JetStream's error codes, and why.
var coded = map[string]string{
	"streams":                "it has all of them, by name",
	"platform/ingress/admit": "a refusal answers with one of them; package streams would link a client of NATS into the decision, so a test holds the two against each other",
}

// JetStream's error codes have names in package streams.
func TestCodesOfJetStreamHaveOnePlace(t *testing.T) {
	code := func(file, dir string) bool { return !isTest(file) && coded[dir] == "" }
	eachNode(t, code, func(n node) {
		lit, ok := n.Node.(*ast.BasicLit)
		if !ok || lit.Kind != token.INT {
			return
		}
		if code, err := strconv.Atoi(lit.Value); err == nil && code > 10_000 && code < 10_200 {
			t.Errorf("%s: %d is one of JetStream's error codes; package streams has it by name", n.at(), code)
		}
	})
}

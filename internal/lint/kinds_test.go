package lint

import (
	"go/ast"
	"testing"
)

// The four kinds and their streams are listed in package event alone: a list
// that has the first and the last of them is a copy of event.Kinds or event.Streams.
func TestKindsAreListedOnce(t *testing.T) {
	eachNode(t, func(_, dir string) bool { return dir != "event" }, func(n node) {
		list, ok := n.Node.(*ast.CompositeLit)
		if !ok {
			return
		}
		names := map[string]bool{}
		for _, e := range list.Elts {
			switch e := e.(type) {
			case *ast.SelectorExpr:
				names[e.Sel.Name] = true
			case *ast.BasicLit:
				names[e.Value] = true
			}
		}
		if names["KindEvent"] && names["KindDead"] || names["StreamEvents"] && names["StreamDead"] || names[`"EVENTS"`] && names[`"DEAD"`] {
			t.Errorf("%s: a list of all kinds or streams; use event.Kinds or event.Streams", n.at())
		}
	})
}

package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"
	"testing"
)

// maxMethods is how many methods a type may have, those of what it embeds
// included: more are several things under one name.
const maxMethods = 25

// goType is a type of this module by folder and name.
type goType struct{ dir, name string }

// methodTable is what the source says of each type's methods.
type methodTable struct {
	own      map[goType]int
	embedded map[goType][]goType
}

// TestNoTypeHasTooManyMethods counts outside tests.
func TestNoTypeHasTooManyMethods(t *testing.T) {
	table := methodTable{own: map[goType]int{}, embedded: map[goType][]goType{}}
	goFiles(t, func(file, dir string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		table.add(dir, f)
	})
	for typ := range table.own {
		if n := table.count(typ, map[goType]bool{}); n > maxMethods {
			t.Errorf("%s.%s has %d methods, %d of its own; at most %d: which part of it is a thing of its own?", typ.dir, typ.name, n, table.own[typ], maxMethods)
		}
	}
}

func (m methodTable) add(dir string, f *ast.File) {
	imports := map[string]string{}
	for _, imp := range f.Imports {
		p, _ := strconv.Unquote(imp.Path.Value)
		if p, ok := strings.CutPrefix(p, module); ok {
			name := path.Base(p)
			if imp.Name != nil {
				name = imp.Name.Name
			}
			imports[name] = p
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil {
				m.own[goType{dir, typeName(d.Recv.List[0].Type)}]++
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok {
					m.addType(goType{dir, s.Name.Name}, s.Type, imports)
				}
			}
		}
	}
}

// addType notes what a struct or interface embeds, and an interface's methods.
func (m methodTable) addType(typ goType, def ast.Expr, imports map[string]string) {
	var fields *ast.FieldList
	switch def := def.(type) {
	case *ast.StructType:
		fields = def.Fields
	case *ast.InterfaceType:
		fields = def.Methods
	default:
		return
	}
	for _, f := range fields.List {
		if _, isMethod := f.Type.(*ast.FuncType); isMethod && len(f.Names) > 0 {
			if _, ok := def.(*ast.InterfaceType); ok {
				m.own[typ] += len(f.Names)
			}
			continue
		}
		if len(f.Names) > 0 {
			continue
		}
		e := f.Type
		if star, ok := e.(*ast.StarExpr); ok {
			e = star.X
		}
		switch e := e.(type) {
		case *ast.Ident:
			m.embedded[typ] = append(m.embedded[typ], goType{typ.dir, e.Name})
		case *ast.SelectorExpr:
			if pkg, ok := e.X.(*ast.Ident); ok && imports[pkg.Name] != "" {
				m.embedded[typ] = append(m.embedded[typ], goType{imports[pkg.Name], e.Sel.Name})
			}
		}
	}
}

func (m methodTable) count(typ goType, seen map[goType]bool) int {
	if seen[typ] {
		return 0
	}
	seen[typ] = true
	n := m.own[typ]
	for _, e := range m.embedded[typ] {
		n += m.count(e, seen)
	}
	return n
}

// typeName returns the name of a receiver's type.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

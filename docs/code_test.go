package docs_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"midplane/telemetry"
)

// source is the project's Go files without tests, parsed once a test.
func source(t *testing.T) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != root || d.Name() == "testdata" || d.Name() == "tools" || d.Name() == "docs"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments|parser.SkipObjectResolution)
		rel, _ := filepath.Rel(root, p)
		out[filepath.ToSlash(rel)] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// packages lists every package with the first sentence of its comment.
func packages(t *testing.T) string {
	comments := map[string]string{}
	for name, f := range source(t) {
		dir := path.Dir(name)
		if text := f.Doc.Text(); len(text) > len(comments[dir]) {
			comments[dir] = text
		}
	}
	var b strings.Builder
	b.WriteString("| package | what it is |\n|---|---|\n")
	for _, dir := range slices.Sorted(maps.Keys(comments)) {
		sentence := new(doc.Package).Synopsis(comments[dir])
		words := strings.SplitN(sentence, " ", 3) // "Package x holds …" → "holds …"
		if len(words) < 3 {
			t.Errorf("package %s has no comment", dir)
			continue
		}
		fmt.Fprintf(&b, "| [`%s`](%s) | %s |\n", dir, dir, cell(strings.TrimPrefix(words[2], "is ")))
	}
	return b.String()
}

// layers reads the house rules out of the test that keeps them.
func layers(t *testing.T) string {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal/lint/imports_test.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	floors := map[int][]string{}
	var beside, keepers []string
	for _, e := range literal(t, f, "layers") {
		n, err := strconv.Atoi(text(e.Value))
		if err != nil {
			t.Fatal(err)
		}
		floors[n] = append(floors[n], "`"+text(e.Key)+"`")
	}
	for _, e := range literal(t, f, "beside") {
		if text(e.Value) != "true" {
			continue
		}
		pair := e.Key.(*ast.CompositeLit).Elts
		beside = append(beside, fmt.Sprintf("`%s` → `%s`", text(pair[0]), text(pair[1])))
	}
	for _, e := range literal(t, f, "gatekeepers") {
		var who []string
		for _, k := range e.Value.(*ast.CompositeLit).Elts {
			who = append(who, "`"+text(k)+"`")
		}
		if len(who) == 0 {
			who = []string{"none"}
		}
		keepers = append(keepers, fmt.Sprintf("| `%s` | %s |\n", text(e.Key), strings.Join(who, ", ")))
	}
	var b strings.Builder
	b.WriteString("| layer | packages (with what is below them) |\n|---|---|\n")
	words := []string{"vocabulary", "grammar", "abilities", "bodies", "programs and tests"}
	for n := len(words) - 1; n >= 0; n-- {
		slices.Sort(floors[n])
		fmt.Fprintf(&b, "| %d %s | %s |\n", n, words[n], strings.Join(floors[n], " "))
	}
	slices.Sort(beside)
	fmt.Fprintf(&b, "\nThe only imports inside a layer: %s.\n", strings.Join(beside, ", "))
	slices.Sort(keepers)
	b.WriteString("\n| library | its only importers outside tests |\n|---|---|\n" + strings.Join(keepers, ""))
	return b.String()
}

// rooms reads the folders of rooms out of the test that keeps them.
func rooms(t *testing.T) string {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal/lint/rooms_test.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, folder := range literal(t, f, "folders") {
		var entries []*ast.KeyValueExpr
		if table, ok := folder.Value.(*ast.CompositeLit); ok {
			for _, e := range table.Elts {
				entries = append(entries, e.(*ast.KeyValueExpr))
			}
		} else { // a variable of its own
			entries = literal(t, f, text(folder.Value))
		}
		for _, e := range entries {
			may := map[string]string{"rooms": "–", "bodies": "–"}
			for _, field := range e.Value.(*ast.CompositeLit).Elts {
				kv := field.(*ast.KeyValueExpr)
				var names []string
				for _, n := range kv.Value.(*ast.CompositeLit).Elts {
					names = append(names, "`"+text(n)+"`")
				}
				may[text(kv.Key)] = strings.Join(names, " ")
			}
			dir := path.Join(text(folder.Key), text(e.Key))
			lines[dir] = fmt.Sprintf("| `%s` | %s | %s |\n", dir, may["rooms"], may["bodies"])
		}
	}
	var b strings.Builder
	b.WriteString("| package | rooms of the same folder that it may import | packages of layer 3 outside the folder |\n|---|---|---|\n")
	for _, dir := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(lines[dir])
	}
	return b.String()
}

// literal returns the entries of a map that is a package's variable.
func literal(t *testing.T, f *ast.File, name string) []*ast.KeyValueExpr {
	t.Helper()
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || v.Names[0].Name != name {
				continue
			}
			var out []*ast.KeyValueExpr
			for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
				out = append(out, e.(*ast.KeyValueExpr))
			}
			return out
		}
	}
	t.Fatalf("%s is not declared", name)
	return nil
}

// text is a literal without its quotes, or a name.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
		return e.Value
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// instruments are the calls that make a metric, and what Prometheus calls it.
var instruments = map[string]string{
	"Int64Counter": "counter", "Int64ObservableCounter": "counter", "Float64Counter": "counter",
	"Int64Gauge": "gauge", "Int64ObservableGauge": "gauge", "Float64Gauge": "gauge", "Float64ObservableGauge": "gauge", "Float64Histogram": "histogram",
}

// metrics finds every place that makes an instrument.
func metrics(t *testing.T) string {
	files := source(t)
	names, labels := metricNames(t, files["telemetry/names.go"])
	made := map[string]string{}
	for file, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			kind, ok := instruments[text(call.Fun)]
			name, known := names[text(call.Args[0])]
			if !ok || !known {
				return true
			}
			unit, what := options(call.Args[1:])
			if what == "" {
				t.Errorf("%s: metric %s has no description", file, name)
			}
			shown := strings.ReplaceAll(name, ".", "_")
			if unit != "" {
				shown += "_" + unit
			}
			if kind == "counter" {
				shown += "_total"
			}
			made[text(call.Args[0])] = fmt.Sprintf("| `%s` | %s | %s | %s | `%s` |\n", shown, kind, strings.TrimSuffix(what, "."), labels[text(call.Args[0])], path.Dir(file))
			return true
		})
	}
	var b strings.Builder
	b.WriteString("| metric | kind | what it counts | labels | made by |\n|---|---|---|---|---|\n")
	for _, ident := range slices.Sorted(maps.Keys(names)) {
		if made[ident] == "" {
			t.Errorf("nothing makes the metric %s", names[ident])
		}
		b.WriteString(made[ident])
	}
	return b.String()
}

// metricNames returns the names of the metrics' constants, and the labels that
// the comments behind them list.
func metricNames(t *testing.T, f *ast.File) (names, labels map[string]string) {
	t.Helper()
	names, labels = map[string]string{}, map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(v.Names[0].Name, "Metric") {
				continue
			}
			id := v.Names[0].Name
			names[id] = text(v.Values[0])
			_, labels[id], _ = strings.Cut(strings.TrimSpace(v.Comment.Text()), ": ")
		}
	}
	if len(names) == 0 {
		t.Fatal("no metric is declared")
	}
	return names, labels
}

// options reads unit and description of an instrument.
func options(args []ast.Expr) (unit, what string) {
	for _, a := range args {
		call, ok := a.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			continue
		}
		switch text(call.Fun) {
		case "WithDescription":
			what = text(call.Args[0])
		case "WithUnit":
			switch u := text(call.Args[0]); u {
			case "s", "UnitSeconds":
				unit = "seconds"
			case "By", "UnitBytes":
				unit = "bytes"
			}
		}
	}
	return unit, what
}

var _ = telemetry.UnitSeconds // the units above are its constants

// rows lists the fields of every kind that can be listed.
func rows(t *testing.T) string {
	files := source(t)
	var b strings.Builder
	for _, kind := range []string{"Tenant", "Site", "Poller", "Device", "Interface", "Check", "Event", "Stream", "Limit", "Schema"} {
		fmt.Fprintf(&b, "### %ss\n\n| field | JSON | meaning |\n|---|---|---|\n", strings.ToLower(kind))
		for _, f := range fields(t, files["api/rows.go"], kind) {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, f.json, cell(f.comment))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// field is one field of a struct as JSON has it.
type field struct{ name, goType, json, comment string }

func fields(t *testing.T, f *ast.File, name string) []field {
	t.Helper()
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.Name == name {
				return fieldsOf(ts.Type.(*ast.StructType))
			}
		}
	}
	t.Fatalf("there is no struct %s", name)
	return nil
}

func fieldsOf(s *ast.StructType) []field {
	var out []field
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(f.Tag.Value)
		tag = strings.Trim(strings.TrimPrefix(tag, "json:"), `"`)
		name, opts, _ := strings.Cut(tag, ",")
		typ := exprString(f.Type)
		shown := jsonType(typ)
		if strings.Contains(opts, "omitempty") {
			shown += ", may be missing"
		}
		comment := f.Comment.Text()
		if comment == "" {
			comment = f.Doc.Text()
		}
		out = append(out, field{name, typ, shown, strings.TrimSpace(strings.ReplaceAll(comment, "\n", " "))})
	}
	return out
}

func exprString(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.ArrayType:
		return "[]" + exprString(e.Elt)
	case *ast.StarExpr:
		return exprString(e.X)
	case *ast.MapType:
		return "map"
	case *ast.SelectorExpr:
		return exprString(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return "any"
}

func jsonType(typ string) string {
	if item, ok := strings.CutPrefix(typ, "[]"); ok {
		return "array of " + jsonType(item) + "s"
	}
	switch typ {
	case "bool":
		return "true or false"
	case "int", "int64", "uint64", "float64":
		return "number"
	case "time.Time":
		return "time"
	case "map", "Condition", "json.RawMessage":
		return "object"
	}
	return "string"
}

// cell keeps a text inside its cell of a table.
func cell(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " "))
}

package tenants

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// first returns the token where a node begins; a mapping's own token is the
// colon of its first pair.
func first(node ast.Node) *token.Token {
	switch n := node.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if n.IsFlowStyle || len(n.Values) == 0 {
			return n.Start
		}
		return n.Values[0].Key.GetToken()
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	case *ast.SequenceNode:
		return n.Start
	case *ast.LiteralNode:
		return n.Start
	}
	return node.GetToken()
}

// describe names a kind of node for a person, without its value.
func describe(node ast.Node) string {
	if node == nil {
		return "nothing"
	}
	switch node.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a group of fields"
	case ast.SequenceType:
		return "a list"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.BoolType:
		return "true or false"
	case ast.NullType:
		return "nothing"
	}
	return "text"
}

// textOf returns a scalar as it is written, so that "1.10" stays what it is.
func textOf(node ast.Node, bools bool) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return node.GetToken().Value, true
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value), bools
	}
	return "", false
}

// raw decodes any value into JSON.
func (d decoder) raw(node ast.Node, v reflect.Value, path string, depth int) {
	value, ok := d.generic(node, path, depth)
	if !ok {
		return
	}
	data, err := json.Marshal(value)
	if err != nil {
		d.bad(node, path, "", "cannot be written as JSON")
		return
	}
	v.SetBytes(data)
}

func (d decoder) generic(node ast.Node, path string, depth int) (any, bool) {
	if node == nil {
		return nil, true
	}
	if depth > maxDepth {
		d.bad(node, path, "", "nested more than %d deep", maxDepth)
		return nil, false
	}
	if !d.plain(node, path) {
		return nil, false
	}
	switch n := node.(type) {
	case *ast.NullNode:
		return nil, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.StringNode, *ast.LiteralNode:
		s, ok := textOf(n, false)
		return s, ok
	case *ast.IntegerNode, *ast.FloatNode:
		return d.number(n, path)
	case *ast.SequenceNode:
		out := make([]any, 0, len(n.Values))
		for i, item := range n.Values {
			x, ok := d.generic(item, path+"["+strconv.Itoa(i)+"]", depth+1)
			if !ok {
				return nil, false
			}
			out = append(out, x)
		}
		return out, true
	case *ast.MappingNode, *ast.MappingValueNode:
		out, good := map[string]any{}, true
		d.each(n, path, func(name, sub string, kv *ast.MappingValueNode) {
			x, ok := d.generic(kv.Value, sub, depth+1)
			out[name], good = x, good && ok
		})
		return out, good
	}
	d.bad(node, path, "", "cannot be written as JSON")
	return nil, false
}

// number keeps a number's digits when they are JSON's own.
func (d decoder) number(node ast.Node, path string) (any, bool) {
	text := node.GetToken().Value
	if json.Valid([]byte(text)) {
		return json.Number(text), true
	}
	var value any
	switch n := node.(type) {
	case *ast.IntegerNode:
		value = n.Value
	case *ast.FloatNode:
		value = n.Value
	}
	switch x := value.(type) {
	case int64, uint64:
		return x, true
	case float64:
		if !math.IsInf(x, 0) && !math.IsNaN(x) {
			return x, true
		}
	}
	d.bad(node, path, "", "%s is no number of JSON", clip(text))
	return nil, false
}

// fieldSet is what a struct may have in a file.
type fieldSet struct {
	names []string
	index map[string]int
}

func fieldsOf(t reflect.Type) fieldSet {
	fs := fieldSet{index: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fs.names = append(fs.names, name)
		fs.index[name] = i
	}
	return fs
}

// suggest names the closest known field, or all of them when none is close.
func (fs fieldSet) suggest(best string) string {
	if best != "" {
		return "did you mean \"" + best + "\"?"
	}
	names := slices.Clone(fs.names)
	slices.Sort(names)
	return "known here: " + strings.Join(names, ", ")
}

// closest returns the candidate most like s, ignoring case, "" when none is
// near: a few letters off, or the one begins with the other.
func closest(s string, candidates []string) string {
	if len(s) > 40 {
		return ""
	}
	best, limit := "", min(max(2, len(s)/3)+1, len(s))
	low := strings.ToLower(s)
	for _, c := range candidates {
		if n := distance(low, strings.ToLower(c)); n < limit {
			best, limit = c, n
		}
	}
	if best != "" || len(s) < 3 {
		return best
	}
	for _, c := range candidates {
		if k := strings.ToLower(c); len(c) >= 3 && (strings.HasPrefix(k, low) || strings.HasPrefix(low, k)) {
			return c
		}
	}
	return ""
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}

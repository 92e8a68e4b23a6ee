package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"midplane/fault"
)

// entry is one value of a file or of the environment.
type entry struct {
	text string
	list []string // instead of text
	at   string   // "config.yaml:3", or the variable's name
	open bool     // the file can be read by others
}

func (e entry) value() any {
	if e.list != nil {
		return e.list
	}
	return e.text
}

// readFile reads a YAML file of settings: one level of keys, each one value or
// a list of values.
func readFile(path string, known map[string]bool) (map[string]entry, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "configuration")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "configuration")
	}
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s: %s", path, firstLine(yaml.FormatError(err, false, false))),
			"one `key: value` a line; `midplane config view` lists the keys")
	}
	entries := map[string]entry{}
	for i, d := range doc.Docs {
		if d.Body == nil {
			continue // only comments
		}
		if i > 0 {
			return nil, fault.New(fault.Invalid, "%s: more than one YAML document", path)
		}
		pairs, err := pairsOf(path, d.Body)
		if err != nil {
			return nil, err
		}
		for _, pair := range pairs {
			if err := readPair(path, pair, known, entries); err != nil {
				return nil, err
			}
		}
	}
	for key, e := range entries {
		e.open = info.Mode().Perm()&0o077 != 0
		entries[key] = e
	}
	return entries, nil
}

func pairsOf(path string, body ast.Node) ([]*ast.MappingValueNode, error) {
	switch node := body.(type) {
	case *ast.MappingNode:
		return node.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, nil
	case *ast.NullNode, *ast.CommentGroupNode:
		return nil, nil
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "%s: not a list of settings", path), "one `key: value` a line")
}

func readPair(path string, pair *ast.MappingValueNode, known map[string]bool, into map[string]entry) error {
	token := pair.Key.GetToken()
	key := token.Value
	at := fmt.Sprintf("%s:%d", path, token.Position.Line)
	if !known[key] {
		err := fault.New(fault.Invalid, "%s:%d: unknown setting %q", at, token.Position.Column, key)
		if near := nearest(key, known); near != "" {
			return fault.WithHint(err, "did you mean %q?", near)
		}
		return fault.WithHint(err, "`midplane config view` lists the settings; what a tenant has goes into a tenant's file (midplane apply)")
	}
	if _, twice := into[key]; twice {
		return fault.New(fault.Invalid, "%s: %s is set twice", at, key)
	}
	e := entry{at: at}
	if seq, ok := pair.Value.(*ast.SequenceNode); ok {
		e.list = []string{}
		for _, item := range seq.Values {
			text, ok := scalar(item)
			if !ok {
				return fault.New(fault.Invalid, "%s: %s: a list holds plain values only", at, key)
			}
			e.list = append(e.list, text)
		}
	} else {
		text, ok := scalar(pair.Value)
		if !ok {
			return fault.WithHint(fault.New(fault.Invalid, "%s: %s has no plain value", at, key),
				"write `%s: VALUE`, or remove the line to use the default", key)
		}
		e.text = text
	}
	into[key] = e
	return nil
}

// scalar returns the text of a plain value as it is written in the file.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(n.Value.Value, "\n"), true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

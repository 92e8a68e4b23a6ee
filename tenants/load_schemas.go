package tenants

import (
	"encoding/json"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"midplane/fault"
	"midplane/schemas"
)

// schemas reads the files that the tenant's schemas are in.
func (s *source) schemas(fsys fs.FS, dir string, list []schemaEntry) []schemas.Schema {
	var out []schemas.Schema
	for i, e := range list {
		at := "schemas[" + strconv.Itoa(i) + "]"
		sc := schemas.Schema{Type: e.Type, Kind: e.Kind, Version: e.Version, Line: e.Line, Example: json.RawMessage(e.Example)}
		switch {
		case e.File != "" && len(e.Schema) > 0:
			s.add(s.find(at+".schema", false), at+".schema", "keep one of the two", "both file and schema are given")
		case len(e.Schema) > 0:
			sc.Schema = s.inlineSchema(at+".schema", e.Schema)
			s.meant[at+".file"] = true // what is wrong with it is not that a file is missing
		case e.File == "" && !s.known(at+".file") && !s.known(at+".schema"):
			s.add(s.find(at, false), at+".file", "like: file: schemas/door.json", "the schema names no file")
		case e.File != "":
			sc.Schema = s.jsonFile(fsys, dir, at+".file", e.File)
		}
		if e.ExampleFile != "" {
			if len(e.Example) > 0 {
				s.add(s.find(at+".exampleFile", false), at+".exampleFile", "keep one of the two", "both example and exampleFile are given")
			}
			sc.Example = s.jsonFile(fsys, dir, at+".exampleFile", e.ExampleFile)
		}
		out = append(out, sc)
	}
	return out
}

// jsonFile reads a file that the field at path names.
func (s *source) jsonFile(fsys fs.FS, dir, at, name string) json.RawMessage {
	refuse := func(hint, format string, args ...any) json.RawMessage {
		s.add(s.find(at, false), at, hint, format, args...)
		return nil
	}
	if !filepath.IsLocal(name) || strings.Contains(name, "\\") || !fs.ValidPath(path.Join(dir, name)) {
		return refuse("name it relative to this file, without ..", "file %q is not inside the tenants' folder", clip(name))
	}
	data, err := readBounded(fsys, path.Join(dir, name), maxSchemaFile)
	if err != nil {
		return refuse(fault.HintOf(err), "%s", err.Error())
	}
	if !json.Valid(data) {
		var x any
		return refuse("", "file %s is not JSON: %v", clip(name), json.Unmarshal(data, &x))
	}
	return data
}

// inlineSchema takes a schema that stands in the tenant's file: as fields, or as
// the text of its JSON.
func (s *source) inlineSchema(at string, raw rawJSON) json.RawMessage {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return json.RawMessage(raw)
	}
	data := []byte(text)
	switch {
	case len(data) > maxSchemaFile:
		s.add(s.find(at, false), at, "", "the schema has more than %s", Bytes(maxSchemaFile).Spaced())
	case !json.Valid(data):
		var x any
		s.add(s.find(at, false), at, "", "the schema is not JSON: %v", json.Unmarshal(data, &x))
	default:
		return data
	}
	return nil
}

package tenants

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"midplane/fault"
	"midplane/schemas"
)

// Bounds of a folder.
const (
	maxFiles      = 10_000
	maxSchemaFile = schemas.MaxSchema
)

// Loaded is one tenant's spec and the file it came from.
type Loaded struct {
	File string
	Spec *Spec
}

// LoadDir reads every *.yaml and *.yml of a folder (not of the folders below
// it), sorted by name. Schema files are named relative to the folder and must
// be inside it. Either all is good, or the error, of class Invalid, holds
// every mistake of every file (see Mistakes). A folder that cannot be read is
// NotFound, one without such files Invalid.
func LoadDir(dir string, opt Options) ([]*Loaded, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() // read only
	list, err := LoadFS(root.FS(), dir, opt)
	return list, err
}

// LoadFile reads one tenant's file.
func LoadFile(file string, opt Options) (*Loaded, error) {
	dir, base := filepath.Split(file)
	root, err := openRoot(cmp.Or(dir, "."))
	if err != nil {
		return nil, err
	}
	defer root.Close() // read only
	spec, mistakes := load(root.FS(), dir, base, opt)
	if len(mistakes) > 0 {
		return nil, join(mistakes)
	}
	return &Loaded{File: file, Spec: spec.Spec}, nil
}

// openRoot opens a folder out of which no name and no link leads.
func openRoot(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.NotFound, err, "tenants' folder"), "name a folder that holds one YAML file per tenant")
	}
	return root, nil
}

// LoadFS is LoadDir for any file system; dir stands before the files' names.
func LoadFS(fsys fs.FS, dir string, opt Options) ([]*Loaded, error) {
	names, err := yamlFiles(fsys)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "read %s", dir)
	}
	if len(names) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s holds no tenant: there is no .yaml file in it", dir),
			"write one file per tenant, beginning with: apiVersion: %s", APIVersion)
	}
	if len(names) > maxFiles {
		return nil, fault.New(fault.Invalid, "%s holds %d files, at most %d are allowed", dir, len(names), maxFiles)
	}
	r := newReading(opt)
	for _, name := range names {
		r.add(load(fsys, dir, name, opt))
	}
	return r.result()
}

func yamlFiles(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		ext := path.Ext(e.Name())
		if (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// loadedSource is a spec that still knows the places of its fields.
type loadedSource struct {
	*source
	Spec *Spec
}

// load reads one file. The spec is nil when it could not be understood at all.
func load(fsys fs.FS, dir, name string, opt Options) (*loadedSource, []*Mistake) {
	shown := filepath.Join(dir, name)
	data, err := readBounded(fsys, name, MaxFile)
	if err != nil {
		return nil, []*Mistake{{File: shown, Message: err.Error(), Hint: fault.HintOf(err)}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // what some editors begin a file with
	return parseFile(fsys, path.Dir(name), newSource(shown, data), data, opt)
}

// parseFile understands one tenant's text; its schemas' files are named
// relative to folder of fsys.
func parseFile(fsys fs.FS, folder string, src *source, data []byte, opt Options) (*loadedSource, []*Mistake) {
	node := src.parse(data)
	if node == nil {
		return nil, src.mistakes
	}
	if _, ok := entries(node); !ok {
		src.add(placeOf(first(node)), "", "begin with: apiVersion: "+APIVersion, "want a tenant's fields, this is %s", describe(node))
		return nil, src.mistakes
	}
	var doc document
	decoder{src}.value(node, reflect.ValueOf(&doc).Elem(), "", 0)
	spec := doc.spec()
	spec.Schemas = src.schemas(fsys, folder, doc.Schemas)
	spec.normalise()
	// What could not be decoded is empty now; complaining of that too would
	// only hide the real mistake.
	src.blame(src.fresh(spec.check(opt)))
	if len(src.mistakes) == 0 {
		src.size(spec)
	}
	slices.SortStableFunc(src.mistakes, func(a, b *Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if src.more > 0 {
		src.mistakes = append(src.mistakes, &Mistake{File: src.file, Message: "and " + strconv.Itoa(src.more) + " more mistakes"})
	}
	return &loadedSource{src, spec}, src.mistakes
}

// fresh drops the problems that a mistake is already known of.
func (s *source) fresh(list []problem) []problem {
	return slices.DeleteFunc(list, func(p problem) bool { return s.known(p.path) })
}

// known reports whether there is a mistake in a field, around it, or in a
// misspelt name that most likely meant it.
func (s *source) known(path string) bool {
	return s.meant[path] || slices.ContainsFunc(s.mistakes, func(m *Mistake) bool {
		return m.Path == path || strings.HasPrefix(path, m.Path+".") || strings.HasPrefix(path, m.Path+"[")
	})
}

// size checks that the spec can be stored.
func (s *source) size(spec *Spec) {
	if _, err := spec.Split(); err != nil {
		s.add(place{1, 1}, "", fault.HintOf(err), "%s", err.Error())
	}
}

// readBounded reads a regular file. It looks before it opens: opening a pipe
// would wait for ever.
func readBounded(fsys fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(fault.New(fault.Invalid, "there is no file %s", clip(name)), "the name is relative to the tenant's file")
	case err != nil:
		return nil, fault.WithHint(fault.New(fault.Invalid, "file %s cannot be read: %w", clip(name), reason(err)), "it must be inside the tenants' folder, links included")
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "%s is not a file", clip(name))
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "file %s cannot be read: %w", clip(name), reason(err))
	}
	defer f.Close() // read only
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "file %s cannot be read: %w", clip(name), reason(err))
	case int64(len(data)) > limit:
		return nil, fault.New(fault.Invalid, "file %s has more than %s", clip(name), Bytes(limit).Spaced())
	}
	return data, nil
}

// reason leaves out the name that the message has already.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

package tenants

import (
	"bytes"
	"io"
	"os"
	"slices"

	"midplane/event"
	"midplane/fault"
)

// Stdin is the source that stands for standard input.
const Stdin = "-"

// maxInput is how much of standard input is read.
const maxInput = 64 << 20

// reading collects the tenants of several files, and the mistakes in all of
// them.
type reading struct {
	opt      Options
	list     []*Loaded
	mistakes []*Mistake
	seen     map[event.Tenant]string // the file that a tenant is in
}

func newReading(opt Options) *reading {
	return &reading{opt: opt, seen: map[event.Tenant]string{}}
}

// add takes what load found in one file.
func (r *reading) add(one *loadedSource, bad []*Mistake) {
	r.mistakes = append(r.mistakes, bad...)
	if one == nil {
		return
	}
	if was, twice := r.seen[one.Spec.ID]; twice && one.Spec.ID != "" {
		one.add(one.find("id", false), "id", "one file per tenant", "tenant %q is already in %s", clip(string(one.Spec.ID)), was)
		r.mistakes = append(r.mistakes, one.mistakes[len(one.mistakes)-1])
		return
	}
	r.seen[one.Spec.ID] = one.file
	r.list = append(r.list, &Loaded{File: one.file, Spec: one.Spec})
}

// take takes what another reading found.
func (r *reading) take(list []*Loaded, err error) error {
	if bad := Mistakes(err); len(bad) > 0 {
		r.mistakes = append(r.mistakes, bad...)
		return nil
	}
	for _, l := range list {
		if was, twice := r.seen[l.Spec.ID]; twice {
			r.mistakes = append(r.mistakes, &Mistake{File: l.File, Path: "id", Hint: "name one of the two",
				Message: "tenant \"" + string(l.Spec.ID) + "\" is already in " + was})
			continue
		}
		r.seen[l.Spec.ID] = l.File
		r.list = append(r.list, l)
	}
	return err
}

func (r *reading) result() ([]*Loaded, error) {
	if err := join(r.mistakes); err != nil {
		return nil, err
	}
	return r.list, nil
}

// LoadAll reads every source: a tenant's file, a folder as LoadDir does, or
// standard input for Stdin. Either all is good, or the error holds every
// mistake of all of them.
func LoadAll(sources []string, stdin io.Reader, opt Options) ([]*Loaded, error) {
	r := newReading(opt)
	for i, name := range sources {
		if slices.Contains(sources[:i], name) {
			continue
		}
		if err := r.take(loadSource(name, stdin, opt)); err != nil {
			return nil, err
		}
	}
	return r.result()
}

func loadSource(name string, stdin io.Reader, opt Options) ([]*Loaded, error) {
	if name == Stdin {
		return LoadReader(stdin, "stdin", opt)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.NotFound, err, "-f"), "name a tenant's file, or a folder of such files")
	}
	if info.IsDir() {
		return LoadDir(name, opt)
	}
	one, err := LoadFile(name, opt)
	if err != nil {
		return nil, err
	}
	return []*Loaded{one}, nil
}

// LoadReader reads one tenant from every YAML document of in, which messages
// call name. Schemas' files are named relative to the working folder.
func LoadReader(in io.Reader, name string, opt Options) ([]*Loaded, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Other, err, "read %s", name)
	case len(data) > maxInput:
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s holds more than %s", name, Bytes(maxInput).Spaced()), "apply the tenants in several parts")
	}
	root, err := openRoot(".")
	if err != nil {
		return nil, err
	}
	defer root.Close() // read only
	r := newReading(opt)
	for _, doc := range documents(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) {
		src := newSource(name, doc.text)
		src.before = doc.before
		r.add(parseFile(root.FS(), ".", src, doc.text, opt))
	}
	return r.result()
}

// part is one document of a stream of YAML.
type part struct {
	before int // lines before it
	text   []byte
}

// documents cuts a stream where a line begins with "---". Documents without
// any content are left out, unless there is no other.
func documents(data []byte) []part {
	var out []part
	at, line, filled := part{}, 0, false
	start := 0
	end := func(to int) {
		at.text = data[start:to]
		if filled {
			out = append(out, at)
		}
		at, start, filled = part{before: line}, to, false
	}
	for pos := 0; pos < len(data); line++ {
		next := len(data)
		if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
			next = pos + i + 1
		}
		text := bytes.TrimRight(data[pos:next], "\r\n")
		rest, marker := bytes.CutPrefix(text, []byte("---"))
		if marker = marker && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t'); marker {
			end(pos)
			text = rest
		}
		text = bytes.TrimSpace(text)
		filled = filled || len(text) > 0 && text[0] != '#' && !bytes.Equal(text, []byte("..."))
		pos = next
	}
	end(len(data))
	if len(out) == 0 {
		return []part{{text: data}}
	}
	return out
}

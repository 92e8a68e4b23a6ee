package sqlite

import (
	"strings"

	"midplane/api"
	"midplane/primary/store"
)

// where collects the conditions of a query with their arguments.
type where struct {
	text string
	args []any
}

func (w *where) and(cond string, args ...any) { w.add(where{" AND " + cond, args}) }

func (w *where) add(more where) {
	w.text, w.args = w.text+more.text, append(w.args, more.args...)
}

// columns are those of a table whose rows belong to a tenant and a site, as a
// query names them. They are the key that pages go by.
type columns struct{ tenant, site, id string }

// span narrows a query to the tenant, the site and the beginning of names that
// a request asks for, and to what follows the page before. Each condition is one
// that the table's key can answer: SQLite uses a comparison of several columns
// only when no other condition is about the first of them.
func (c columns) span(req api.ListRequest, after store.Place) (w where, none bool) {
	cols, from := []string{c.tenant, c.site, c.id}, []string{after.Tenant, after.Site, after.ID}
	begins := strings.SplitN(req.Prefix, "/", 3) // one at least
	fixed := []string{req.Tenant, req.Site, ""}
	for i, name := range begins[:len(begins)-1] {
		if fixed[i] != "" && fixed[i] != name {
			return w, true
		}
		fixed[i] = name
	}
	beyond := after == store.Place{}
	key := 0 // so many columns of the key are fixed
	for i, name := range fixed {
		if name == "" {
			continue
		}
		w.and(cols[i]+" = ?", name)
		if i != key {
			continue
		}
		key++
		switch {
		case beyond || from[i] < name:
			beyond = true
		case from[i] > name:
			return w, true
		}
	}
	if at, begin := len(begins)-1, begins[len(begins)-1]; begin != "" {
		w.and(cols[at]+" >= ? AND "+cols[at]+" < ?", begin, begin+"\U0010FFFF")
	}
	if !beyond {
		open := cols[key:]
		args := make([]any, len(open))
		for i := range open {
			args[i] = from[key+i]
		}
		w.and("("+strings.Join(open, ", ")+") > (?"+strings.Repeat(", ?", len(open)-1)+")", args...)
	}
	return w, false
}

package snmp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gosnmp/gosnmp"

	"midplane/fault"
)

const (
	// maxRows ends the reading of a table that an agent makes up as it goes.
	maxRows = 200_000
	// maxTable does the same by what the values take in memory, in bytes: an
	// agent chooses how long its strings and object identifiers are.
	maxTable = 32 << 20
)

// What the values of one answer may take in bytes, so that it is one packet on
// most networks, and what one value takes with its name.
const (
	answerBytes = 1300
	numberBytes = 26 // of 64 bits, of an interface with a large index
	textBytes   = 52
)

// table says what is read of one.
type table struct {
	entry string
	// columns are those that are needed, in order. Others come along where they
	// lie between, and are left out.
	columns []int
	text    []int // those of columns that are strings of any length
}

// row is one row of a table, by column number. What is missing is the zero value.
type row []gosnmp.SnmpPDU

func (r row) at(column int) gosnmp.SnmpPDU {
	if column >= len(r) {
		return gosnmp.SnmpPDU{}
	}
	return r[column]
}

// place is a column, and which row of it.
type place struct {
	column int
	index  string
}

// placed reads the name of a cell of the table; ok is false for what is none.
func (t *table) placed(name string) (p place, ok bool) {
	rest, ok := strings.CutPrefix(name, t.entry)
	if !ok || !strings.HasPrefix(rest, ".") {
		return p, false
	}
	column, index, _ := strings.Cut(rest[1:], ".")
	n, err := strconv.Atoi(column)
	return place{n, index}, err == nil && n <= t.last()
}

func (t *table) last() int { return t.columns[len(t.columns)-1] }

// from returns the first column that is needed, from one on.
func (t *table) from(column int) int {
	i, _ := slices.BinarySearch(t.columns, column)
	return t.columns[i]
}

// fitting returns how many values from one column on fit into an answer. Of
// that column the first have been read; a table whose rows are not known yet
// has any number.
func (t *table) fitting(column, read, rows int) (n int) {
	i, _ := slices.BinarySearch(t.columns, column)
	left := answerBytes
	for _, c := range t.columns[i:] {
		width := numberBytes
		if slices.Contains(t.text, c) {
			width = textBytes
		}
		fit := left / width
		if rows > 0 && c != t.last() {
			most := rows
			if c == column {
				most -= read
			}
			fit = min(fit, max(most, 0))
		}
		n, left = n+fit, left-fit*width
	}
	return max(n, 1)
}

// reading is how far the reading of a table has come.
type reading struct {
	*table
	rows   map[string]row
	at     string // the name that was read last
	place         // of at
	inside int    // values of the column that were read
	top    string // the largest index in the columns before the last one
	bytes  int
}

// table reads a table by bulk requests, by index; about is how many rows it has, 0
// when that is not known. A table that the agent does not have is empty. It ends
// where the agent says that nothing follows, or leaves the table: a value that is
// missing in the middle (NULL, as some agents answer for a cell that they cannot
// read) is that cell missing and nothing else. The library's own walk takes an error
// status for the end of the table; here it is an error, so that no half of a table
// passes for the whole.
func (s *session) table(t *table, about int) (map[string]row, error) {
	r := reading{table: t, rows: map[string]row{}, place: place{column: t.columns[0]}}
	r.at = t.entry + "." + strconv.Itoa(r.column)
	most, chosen := maxRows, s.g.MaxRepetitions > 0
	if chosen {
		most = int(s.g.MaxRepetitions)
	}
	for n := 0; n < maxRows && r.bytes < maxTable; {
		reps := most
		if !chosen {
			reps = min(most, r.fitting(r.column, r.inside, max(len(r.rows), about)))
		}
		resp, err := s.ask(gosnmp.GetBulkRequest, reps, r.at)
		switch {
		case err != nil:
			return nil, err
		case resp.Error == gosnmp.TooBig && reps > 1:
			most = reps / 2
			continue
		case resp.Error == gosnmp.NoSuchName:
			return r.rows, nil
		case resp.Error != gosnmp.NoError:
			return nil, agentError(resp.Error)
		case len(resp.Variables) == 0:
			return r.rows, nil
		}
		for _, v := range resp.Variables {
			more, err := r.add(v)
			if err != nil {
				return nil, err
			}
			if !more {
				return r.rows, nil
			}
		}
		n += len(resp.Variables)
		if next := r.from(r.column); next > r.column { // what lies between is not needed
			r.place, r.inside = place{column: next}, 0
			r.at = t.entry + "." + strconv.Itoa(next)
		}
	}
	return nil, fault.New(fault.Exhausted, "the agent's table %s has more than %d values, or %d MiB", t.entry, maxRows, maxTable>>20)
}

// add takes one value; more is false when it lies behind the table, or is the last:
// of the last column, and of the last row that the others have.
func (r *reading) add(v gosnmp.SnmpPDU) (more bool, err error) {
	p, ok := r.placed(v.Name)
	if !ok || v.Type == gosnmp.EndOfMibView {
		return false, nil
	}
	if compare(v.Name, r.at) <= 0 {
		return false, fault.New(fault.Other, "the agent goes in a circle at %s", v.Name)
	}
	if p.column != r.column {
		r.inside = 0
	}
	r.at, r.place, r.inside, r.bytes = v.Name, p, r.inside+1, r.bytes+size(v)
	switch last := p.column == r.last(); {
	case last:
		more = r.top == "" || compare(p.index, r.top) < 0
	case r.top == "" || compare(p.index, r.top) > 0:
		r.top = p.index
		fallthrough
	default:
		more = true
	}
	if _, needed := slices.BinarySearch(r.columns, p.column); !needed || !there(v) {
		return more, nil
	}
	cells, known := r.rows[p.index]
	if !known {
		cells = make(row, r.last()+1)
		r.rows[p.index], r.bytes = cells, r.bytes+len(cells)*size(gosnmp.SnmpPDU{})
	}
	cells[p.column] = v
	return more, nil
}

// size is about what a value takes in memory, in bytes.
func size(v gosnmp.SnmpPDU) int {
	const rest = 64 // of the value itself and of its place in a row
	switch value := v.Value.(type) {
	case []byte:
		return rest + len(v.Name) + len(value)
	case string:
		return rest + len(v.Name) + len(value)
	}
	return rest + len(v.Name)
}

// compare orders OIDs number by number.
func compare(a, b string) int {
	a, b = strings.TrimPrefix(a, "."), strings.TrimPrefix(b, ".")
	same := 0 // what both begin with, in whole numbers
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '.' {
			same = i + 1
		}
	}
	x, _, moreA := strings.Cut(a[same:], ".")
	y, _, moreB := strings.Cut(b[same:], ".")
	switch {
	case len(x) != len(y): // no leading zeros, so a longer number is larger
		return len(x) - len(y)
	case x != y:
		return strings.Compare(x, y)
	case moreA:
		return 1
	case moreB:
		return -1
	}
	return 0
}

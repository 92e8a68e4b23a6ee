package output

import (
	"slices"

	"github.com/jedib0t/go-pretty/v6/text"
)

// gridColumn is what a column's place in a table is decided by.
type gridColumn struct {
	name        string
	whole, long bool // whole: a number or a time
	right       bool
	drop        int
	width       int // of its widest cell
}

// grid is a table as text, before it is drawn.
type grid struct {
	columns []gridColumn
	rows    [][]string
}

// Widths that a cell is shortened to: a long text first, then, when columns have
// been left out, any other that is not to be whole, and in the end all of them.
const (
	longAtLeast  = 20
	shortAtLeast = 24
	textAtLeast  = 8
	everAtLeast  = 4
)

// newGrid takes the columns that the format shows.
func newGrid[T any](o *Output, rows []T, columns []Column[T]) *grid {
	g := &grid{rows: make([][]string, len(rows))}
	for _, c := range columns {
		if c.Wide && o.Format != Wide {
			continue
		}
		col := gridColumn{name: c.Name, right: c.Right, whole: c.Right || c.Fixed, long: c.Long, drop: c.Drop}
		if !o.NoHeaders {
			col.width = text.StringWidthWithoutEscSequences(c.Name)
		}
		for i, r := range rows {
			cell := Printable(c.Value(r))
			col.width = max(col.width, text.StringWidthWithoutEscSequences(cell))
			g.rows[i] = append(g.rows[i], cell)
		}
		g.columns = append(g.columns, col)
	}
	return g
}

// fit makes the table at most width columns of the terminal wide. Pure but for
// the grid.
func (g *grid) fit(width int, bare bool) {
	for g.least(bare) > width && g.dropOne() {
	}
	g.shrink(width, bare, func(c gridColumn) int {
		if c.long {
			return longAtLeast
		}
		return c.width
	})
	for _, least := range []int{shortAtLeast, textAtLeast} {
		g.shrink(width, bare, func(c gridColumn) int {
			if c.whole {
				return c.width
			}
			return least
		})
	}
	g.shrink(width, bare, func(gridColumn) int { return everAtLeast })
	for i, c := range g.columns {
		g.columns[i].name = text.Snip(c.name, c.width, "…")
		for _, row := range g.rows {
			row[i] = text.Snip(row[i], c.width, "…")
		}
	}
}

// frame is what is drawn around a cell, and around the table.
func frame(bare bool) (cell, table int) {
	if bare {
		return 2, 0
	}
	return 3, 1
}

func (g *grid) total(bare bool) int {
	cell, sum := frame(bare)
	for _, c := range g.columns {
		sum += c.width + cell
	}
	return sum
}

// least is the width with everything as short as it may be while there are
// columns to leave out.
func (g *grid) least(bare bool) int {
	cell, sum := frame(bare)
	for _, c := range g.columns {
		switch {
		case c.long:
			sum += min(c.width, longAtLeast) + cell
		case c.whole:
			sum += c.width + cell
		default:
			sum += min(c.width, shortAtLeast) + cell
		}
	}
	return sum
}

// dropOne leaves out the least important column.
func (g *grid) dropOne() bool {
	at := -1
	for i, c := range g.columns {
		if c.drop > 0 && (at < 0 || c.drop < g.columns[at].drop) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	g.columns = slices.Delete(g.columns, at, at+1)
	for i, row := range g.rows {
		g.rows[i] = slices.Delete(row, at, at+1)
	}
	return true
}

// shrink takes from the widest column, again and again, until the table fits or
// every column has the least width it may have.
func (g *grid) shrink(width int, bare bool, least func(gridColumn) int) {
	for over := g.total(bare) - width; over > 0; over-- {
		at := -1
		for i, c := range g.columns {
			if c.width > least(c) && (at < 0 || c.width > g.columns[at].width) {
				at = i
			}
		}
		if at < 0 {
			return
		}
		g.columns[at].width--
	}
}

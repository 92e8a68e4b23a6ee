package output

import (
	"fmt"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Column is one column of a table of T.
type Column[T any] struct {
	Name  string
	Value func(T) string
	Wide  bool // only with -o wide
	Right bool // a number
	Long  bool // a text that may be shortened or wrapped
	Fixed bool // of no use when it is shortened: a time
	Drop  int  // where the terminal is too narrow, columns with the lowest number go first; 0 stays
}

// List prints rows in the format asked for. noun is the plural.
func List[T any](o *Output, noun string, rows []T, columns []Column[T]) error {
	if o.Machine() {
		if rows == nil {
			rows = []T{}
		}
		return o.Print(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintf(o.Stderr, "no %s\n", noun)
		return nil
	}
	fmt.Fprintln(o.Stdout, Table(o, fmt.Sprintf("%d %s", len(rows), Plural(noun, len(rows))), rows, columns))
	return nil
}

// wrapAt is where a long text is wrapped when the width of the output is not
// known.
const wrapAt = 60

// Table draws a table in the look of the nats CLI. Where the output has a
// width, the table fits it: columns are left out and cells shortened, and no
// cell is wrapped.
func Table[T any](o *Output, title string, rows []T, columns []Column[T]) string {
	grid, width := newGrid(o, rows, columns), o.width()
	if o.Format == Wide {
		width = 0
	}
	if width > 0 {
		grid.fit(width, o.NoHeaders)
	}
	w := table.NewWriter()
	style := table.StyleRounded
	style.Format.Header = text.FormatDefault
	style.Title.Align = text.AlignCenter
	if o.NoHeaders {
		style = table.StyleDefault
		style.Options = table.OptionsNoBordersAndSeparators
		style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	}
	w.SetStyle(style)
	var configs []table.ColumnConfig
	var header table.Row
	for i, c := range grid.columns {
		header = append(header, c.name)
		cfg := table.ColumnConfig{Number: i + 1}
		if c.right {
			cfg.Align, cfg.AlignHeader = text.AlignRight, text.AlignRight
		}
		if c.long && width == 0 && o.Format != Wide {
			cfg.WidthMax, cfg.WidthMaxEnforcer = wrapAt, text.WrapSoft
		}
		configs = append(configs, cfg)
	}
	w.SetColumnConfigs(configs)
	if !o.NoHeaders {
		w.SetTitle("%s", title)
		w.AppendHeader(header)
	}
	for _, cells := range grid.rows {
		row := make(table.Row, 0, len(cells))
		for _, cell := range cells {
			row = append(row, o.Paint(cell))
		}
		w.AppendRow(row)
	}
	return w.Render()
}

// Section prints a table below a title, and nothing when there are no rows.
func Section[T any](o *Output, title string, rows []T, columns []Column[T]) {
	if len(rows) > 0 {
		fmt.Fprintf(o.Stdout, "\n%s\n", Table(o, title, rows, columns))
	}
}

// Without leaves out columns that every row would repeat.
func Without[T any](columns []Column[T], names ...string) []Column[T] {
	var out []Column[T]
	for _, c := range columns {
		if !slices.Contains(names, c.Name) {
			out = append(out, c)
		}
	}
	return out
}

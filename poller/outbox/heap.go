package outbox

// rowHeap orders rows by their place, or by when they may be tried again.
type rowHeap struct {
	byTime bool
	rows   []*row
}

func (h *rowHeap) Len() int { return len(h.rows) }
func (h *rowHeap) Less(i, j int) bool {
	a, b := h.rows[i], h.rows[j]
	if h.byTime {
		return a.retry.at.Before(b.retry.at)
	}
	return a.order < b.order || a.order == b.order && a.seq < b.seq
}
func (h *rowHeap) Swap(i, j int) {
	h.rows[i], h.rows[j] = h.rows[j], h.rows[i]
	h.rows[i].pos, h.rows[j].pos = i, j
}
func (h *rowHeap) Push(x any) {
	r := x.(*row)
	r.pos = len(h.rows)
	h.rows = append(h.rows, r)
}
func (h *rowHeap) Pop() any {
	n := len(h.rows) - 1
	r := h.rows[n]
	h.rows[n], h.rows = nil, h.rows[:n]
	return r
}

package schedule

import (
	"context"
	"time"
)

// task is one check and when it is due. All fields are the scheduler's mutex's.
type task struct {
	check
	phase   time.Duration // its place in the interval
	planned time.Time     // the next on the check's own grid
	due     time.Time     // planned, or before it when the check is to be run soon
	index   int           // in the queue, -1 when removed

	cancel  context.CancelFunc // of the run under way, nil when there is none
	again   bool               // run once more as soon as that one has ended
	slow    bool               // its last run waited in vain: it takes a place of the slow ones
	stuck   *abandoned         // the run that overran, nil when there is none
	problem string             // the last that was logged
}

// advance plans the next run on the check's grid, past what was missed (a
// suspended machine does not catch up).
func (t *task) advance(now time.Time) {
	if behind := now.Sub(t.planned); behind >= 0 {
		t.planned = t.planned.Add((behind/t.interval + 1) * t.interval)
	}
	t.due = t.planned
}

// dueQueue is a heap of tasks, the earliest first.
type dueQueue []*task

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *dueQueue) Push(x any) {
	t := x.(*task)
	t.index = len(*q)
	*q = append(*q, t)
}

func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	t.index = -1
	(*q)[last] = nil
	*q = (*q)[:last]
	return t
}

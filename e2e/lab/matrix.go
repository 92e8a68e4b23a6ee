package lab

import "time"

// Row is one kind of fault, and what must come of it.
type Row struct {
	Name  string
	What  string
	Steps []Fault
	Loses bool // a control: when nothing is lost, the laboratory sees nothing
	Long  bool // only in the long form
	Disks bool // every node has a disk that forgets what was not synced
	Flags []string
}

const s = time.Second

// Matrix returns every row.
func Matrix() []Row {
	return []Row{
		{Name: "kill-leader", What: "kill -9 of the node that leads EVENTS, twice",
			Steps: []Fault{Kill{Leader}, Wait(12 * s), Start{Victim}, Whole{}, Kill{Leader}, Wait(4 * s), Start{Victim}}},
		{Name: "kill-all", What: "kill -9 of all nodes at once; they start in another order",
			Steps: []Fault{Kill{All}, Wait(1 * s), Start{All}}},
		{Name: "pause-leader", What: "the node that leads EVENTS stands still for 20 s and goes on",
			Steps: []Fault{Pause{Leader}, Wait(20 * s), Resume{Victim}}},
		{Name: "partition", What: "the node that leads EVENTS hears nobody and nobody hears it for 20 s; clients reach all",
			Steps: []Fault{Cut{Who: Leader, In: true, Out: true}, Wait(20 * s), Heal{}}},
		{Name: "partition-one-way", What: "the node that leads EVENTS hears nobody for 15 s, then nobody hears it",
			Steps: []Fault{Cut{Who: Leader, In: true}, Wait(15 * s), Heal{}, Wait(5 * s), Cut{Who: Leader, Out: true}, Wait(15 * s), Heal{}}},
		{Name: "delay", What: "everything between nodes takes 100 ± 50 ms",
			Steps: []Fault{Slow{All, 100 * time.Millisecond, 50 * time.Millisecond}, Wait(10 * s), Heal{}}},
		{Name: "rolling-restart", What: "every node is stopped and started again, one after the other",
			Steps: []Fault{Stop{"n1"}, Start{"n1"}, Whole{}, Stop{"n2"}, Start{"n2"}, Whole{}, Stop{"n3"}, Start{"n3"}, Whole{}}},
	}
}

package lab

import (
	"time"

	"midplane/api"
)

// Row is one kind of fault, and what must come of it.
type Row struct {
	Name  string
	What  string
	Steps []Fault
	Loses bool // a control: when nothing is lost, the laboratory sees nothing
	Long  bool // only in the long form
	// Back is that nodes are put back to an older copy: the streams lack what was
	// published after it was made. The primary has all of it, and status names what
	// the streams lack.
	Back bool
	// Survives is that only one node's disk is left: what that one had is kept.
	Survives bool
	Disks    bool     // every node has a disk that forgets what was not synced
	Small    bool     // n3 has a disk of 1 GB
	Quiet    bool     // nothing is published while the steps are carried out
	Flags    []string // of the nodes
	// Beside are the names of the workloads that run beside the set, More those of the
	// long form: each takes its time, and each kind runs in some row of the short form.
	Beside, More []string
}

const s = time.Second

// Workloads that run beside the set in some rows: on the streams, and on the control
// plane. Those of one list run together; while tenants come and go, status has something
// to say of them. The baseline is the last: what the others used must be given back.
var (
	onStreams = []string{endToEnd, statusTruth, readerSilence, subscription, baseline}
	onControl = []string{register, tenantsCome, enrolment, baseline}
)

// Matrix returns every row.
func Matrix() []Row {
	return []Row{
		{Name: "kill-leader", What: "kill -9 of the node that leads EVENTS, twice", Beside: onStreams,
			Steps: []Fault{Kill{Leader}, Wait(12 * s), Start{Victim}, Whole{}, Kill{Leader}, Wait(4 * s), Start{Victim}}},
		{Name: "kill-all", What: "kill -9 of all nodes at once; they start in another order", Beside: onControl,
			Steps: []Fault{Kill{All}, Wait(1 * s), Start{All}}},
		{Name: "pause-leader", What: "the node that leads EVENTS stands still for 20 s and goes on", Beside: []string{register}, More: onControl,
			Steps: []Fault{Pause{Leader}, Wait(20 * s), Resume{Victim}}},
		{Name: "partition", What: "the node that leads EVENTS neither reaches the others nor is reached by them for 20 s; clients reach all", Beside: []string{statusTruth, readerSilence}, More: onStreams,
			Steps: []Fault{Cut{Who: Leader, In: true, Out: true}, Wait(20 * s), Heal{}}},
		{Name: "partition-one-way", What: "the node that leads EVENTS gets nothing from the others for 15 s, then they get nothing from it", Beside: []string{register}, More: onControl,
			Steps: []Fault{Cut{Who: Leader, In: true}, Wait(15 * s), Heal{}, Wait(5 * s), Cut{Who: Leader, Out: true}, Wait(15 * s), Heal{}}},
		{Name: "delay", What: "everything between nodes takes 100 ± 50 ms",
			Steps: []Fault{Slow{All, 100 * time.Millisecond, 50 * time.Millisecond}, Wait(10 * s), Heal{}}},
		{Name: "rolling-restart", What: "every node is drained, stopped and started again, one after the other, then the primary: an upgrade", Beside: []string{endToEnd, subscription}, More: onStreams,
			Steps: []Fault{Well{}, Page{"upgrade", 1, Any}, Page{"upgrade", 2, All}, Page{"upgrade", 3, Any}, Page{"upgrade", 4, Any}}},
		{Name: "power-all", What: "the power of all nodes fails at once; their disks forget what was not synced", Disks: true, Beside: []string{endToEnd, statusTruth, subscription}, More: onStreams,
			Steps: []Fault{PowerCut{All}, Wait(1 * s), Start{All}}},
		{Name: "power-all-unsynced", What: "the same with nodes that do not sync: must lose", Disks: true, Loses: true, Quiet: true, Flags: []string{"--unsafe-no-sync"},
			Steps: []Fault{PowerCut{All}, Wait(1 * s), Start{All}}},
		{Name: "power-and-pause", What: "one node is away, one loses its power, the one that has everything stands still", Disks: true, Beside: []string{statusTruth},
			Steps: []Fault{Pause{"n3"}, Wait(8 * s), PowerCut{"n2"}, Pause{"n1"}, Resume{"n3"}, Start{"n2"}, Wait(10 * s), Resume{"n1"}}},
		{Name: "disk-full", What: "the disk of one node is full for 15 s", Small: true,
			Steps: []Fault{FillDisk{"n3"}, Wait(15 * s), Says{api.CodeOutOfStorage}, Page{"disk-full", 1, "n3"}, FreeDisk{"n3"}, Wait(2 * s), Page{"disk-full", 2, "n3"}}},
		{Name: "slow-sync", What: "every sync of one node takes 500 ms longer for 10 s", Disks: true,
			Steps: []Fault{Sync{Who: Leader, Slow: 500 * time.Millisecond}, Wait(10 * s), Sync{Who: Victim}}},
		{Name: "failed-sync", What: "syncs of one node fail for 3 s; then its power is cut, and it is started again", Disks: true,
			Steps: []Fault{Sync{Who: Leader, Fail: true}, Wait(3 * s), PowerCut{Victim}, Start{Victim}}},
		{Name: "wiped", What: "a node is lost with its disk, and replaced by an empty one",
			Steps: []Fault{Kill{Any}, Away{}, Page{"node-replace", 2, Victim}, Asks("is down: start it"), Page{"node-replace", 4, Victim}, Ends{}}},
		{Name: "replaced", What: "a node that runs is replaced by an empty one", Long: true,
			Steps: []Fault{Well{}, Page{"node-replace", 1, Any}, Page{"node-replace", 2, Victim}, Asks("is drained: stop it now"), Page{"node-replace", 3, Victim},
				Asks("is down: start it"), Page{"node-replace", 4, Victim}, Ends{}}},
		{Name: "two-lost", What: "two of three nodes are lost with their disks at the same moment; both get a copy of what the third has", Survives: true, Beside: []string{statusTruth},
			Steps: []Fault{Pick{Any}, Kill{Others}, Wipe{Others}, Shows{"status -v", "is cut off from"}, Page{"two-lost", 1, Victim}, Keep{Victim},
				Page{"two-lost", 2, Victim}, Page{"two-lost", 3, Others}, Page{"two-lost", 4, All}, Whole{}, Page{"two-lost", 5, Victim}}},
		{Name: "flip-while-down", What: "one bit of a block of EVENTS is flipped while its node is down",
			Steps: []Fault{Stop{Follower}, Damage{Victim, EventsBlock, Flip}, Start{Victim}}},
		{Name: "flip-unrepaired", What: "the same with nodes that may not repair by themselves", Loses: true, Quiet: true, Flags: []string{"--replica-repair", "ask"},
			Steps: []Fault{Stop{Follower}, Damage{Victim, EventsBlock, Flip}, Start{Victim}}},
		{Name: "flip-asked", What: "the same, and an operator asks for the repair", Long: true, Flags: []string{"--replica-repair", "ask"},
			Steps: []Fault{Stop{Follower}, Damage{Victim, EventsBlock, Flip}, Start{Victim}, Shows{"status -v", "an operator has to ask for it"},
				Page{"replica-diverged", 1, Victim}, Page{"replica-diverged", 3, Victim}, Well{}, Page{"replica-diverged", 2, Victim}}},
		{Name: "flip-while-up", What: "one bit of a block of EVENTS is flipped while its node runs, and the node is then stopped and started",
			Steps: []Fault{Damage{Follower, EventsBlock, Flip}, Wait(3 * s), Stop{Victim}, Start{Victim}}},
		{Name: "flip-leader", What: "one bit of a block of EVENTS is flipped in the node that led it, while it is down",
			Steps: []Fault{Stop{Leader}, Damage{Victim, EventsBlock, Flip}, Start{Victim}}},
		{Name: "flip-state", What: "one bit of a block of STATE is flipped while its node is down",
			Steps: []Fault{Stop{Any}, Damage{Victim, StateBlock, Flip}, Start{Victim}}},
		{Name: "truncate", What: "a block of EVENTS loses its second half while its node is down",
			Steps: []Fault{Stop{Any}, Damage{Victim, EventsBlock, Truncate}, Start{Victim}}},
		{Name: "no-index", What: "the index of EVENTS is gone when its node starts",
			Steps: []Fault{Stop{Any}, Damage{Victim, EventsIndex, Remove}, Start{Victim}}},
		{Name: "registry", What: "one bit of the registry is flipped while its node is down",
			Steps: []Fault{Stop{Any}, Damage{Victim, Registry, Flip}, Start{Victim}}},
		{Name: "raft-log", What: "one bit of a Raft log is flipped while its node is down",
			Steps: []Fault{Kill{Follower}, Damage{Victim, RaftLog, Flip}, Start{Victim}}},
		{Name: "raft-snapshot", What: "one bit of a Raft snapshot is flipped while its node is down",
			Steps: []Fault{Stop{Follower}, Damage{Victim, RaftSnapshot, Flip}, Start{Victim}}},
		{Name: "consumer-file", What: "one bit of what a node keeps of a subscription's consumer is flipped while it is down: it then says that more was delivered than there is; afterwards the node leads the consumer", Beside: []string{subscription},
			Steps: []Fault{Stop{Any}, Damage{Victim, ConsumerFile, FlipAhead}, Start{Victim}, Whole{}, Lead{Victim}, Wait(2 * s)}},
		{Name: "consumer-log", What: "one bit of the Raft log of a subscription's consumer is flipped while its node is down; afterwards the node leads the consumer", Beside: []string{subscription}, Long: true,
			Steps: []Fault{Kill{Any}, Damage{Victim, ConsumerLog, Flip}, Start{Victim}, Whole{}, Lead{Victim}, Wait(2 * s)}},
		{Name: "meta-log", What: "one bit of the log of the meta group is flipped while its node is down", Long: true,
			Steps: []Fault{Kill{Any}, Damage{Victim, MetaLog, Flip}, Start{Victim}}},
		{Name: "meta-snapshot", What: "one bit of the snapshot of the meta group is flipped while its node is down",
			Steps: []Fault{Stop{Any}, Damage{Victim, MetaSnapshot, Flip}, Start{Victim}}},
		{Name: "halted", What: "a message with a wrong Nats-Expected-Last-Msg-Id is put into EVENTS past the door, and stops it for good; the runbook's commands bring it back",
			Steps: []Fault{Halt{}, Says{api.CodeStreamNoLeader}, Page{"halted-stream", 1, Any}, Page{"halted-stream", 2, Any}, Page{"halted-stream", 3, All},
				Page{"halted-stream", 4, All}, Page{"halted-stream", 5, All}, Whole{}, Page{"halted-stream", 6, Any}}},
		{Name: "put-back", What: "all nodes are stopped and put back to an older copy, while the primary runs", Back: true,
			Steps: []Fault{Page{"restored-copy", 1, All}, Page{"restored-copy", 2, All}, Page{"restored-copy", 3, All}, Whole{}, Wait(5 * s),
				Unread{}, Wait(3 * s), Page{"restored-copy", 4, All}, Unread{Ends: true}, Page{"restored-copy", 5, All}, Page{"restored-copy", 6, All}, Whole{}, Wait(5 * s), Page{"restored-copy", 7, Any}}},
		{Name: "heal", What: "one bit of a replica with 300 MB is flipped while its node runs: found within 60 s, and whole within 5 minutes per GB", Long: true, Quiet: true,
			Steps: []Fault{Fill{300 << 20}, Mend{Any}}},
		{Name: "primary-lost", What: "the primary is lost with its database, and begins with an empty one",
			Steps: []Fault{Page{"primary-lost", 1, Any}}},
	}
}

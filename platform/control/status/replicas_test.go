package status

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/node"
)

// lagging is a server whose replicas are so.
type lagging struct {
	list []node.Lagging
	err  error
}

func (l *lagging) Behind() ([]node.Lagging, error) { return l.list, l.err }
func (l *lagging) Leading() int                    { return 3 }

func TestReplicasAreBehindUntilTheyHaveBeenWhole(t *testing.T) {
	s := &lagging{err: fault.New(fault.Unavailable, "no meta leader")}
	r := &Replicas{server: s, name: func(key string) string { return "of-" + key }, behind: &api.BehindReplicas{Why: "not yet"}}
	now := time.Unix(1000, 0)
	red := func(what string) {
		t.Helper()
		if r.Whole() == nil {
			t.Errorf("%s: whole", what)
		}
	}
	red("before the first look")
	r.look(now)
	red("the server does not know")
	s.err = nil
	for i := range 7 {
		s.list = append(s.list, node.Lagging{Account: "A", Stream: fmt.Sprint("S", i)})
	}
	r.look(now)
	red("after a start")
	want := &api.BehindReplicas{Count: 7, Some: []string{"of-A/S0", "of-A/S1", "of-A/S2", "of-A/S3", "of-A/S4"}}
	if diff := cmp.Diff(want, r.Behind()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.list = nil
	r.look(now)
	if err := r.Whole(); err != nil || r.Behind() != nil || r.Leads() != 3 {
		t.Errorf("whole: %v, %v", err, r.Behind())
	}
	// An election is no news.
	s.list = []node.Lagging{{Account: "A"}}
	r.look(now.Add(behindFor - time.Second))
	if err := r.Whole(); err != nil {
		t.Errorf("during an election: %v", err)
	}
	r.look(now.Add(behindFor))
	red("for long")
}

package console

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixedSource answers with the same two halves every time.
type fixedSource struct{ cluster, primary string }

func (f fixedSource) Admin(_ context.Context, _ string, _, resp any) error {
	return json.Unmarshal([]byte(f.cluster), resp)
}

func (f fixedSource) Query(_ context.Context, _ string, _, resp any) error {
	return json.Unmarshal([]byte(f.primary), resp)
}

func statusFor(t *testing.T, url, token string) Status {
	t.Helper()
	code, _, body := ask(t, url+"/api/v1/status", withToken(token))
	var s Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	return s
}

// A confined viewer sees the problems of the own tenant, which nodes are down,
// and nothing else; and not that every node is down when the node that answers
// has no quorum.
func TestConfinedViewerSeesTheProblemsOfTheOwnTenant(t *testing.T) {
	p := newPeople(t)
	const primary = `{"name":"p1","tenants":[{"tenant":"globex","reading":false,"streams":[]},{"tenant":"acme","reading":true,"streams":[],
		"sites":[{"site":"syd","down":{"count":1,"names":["r1"]}}]}],"alarms":[{"alarm":"gap","message":"globex lost"}]}`
	for what, x := range map[string]struct {
		cluster string
		want    []string
	}{
		"one node is down": {`{"leader":"n1","metaLeader":"n1","nodes":[{"id":"n1","live":true},{"id":"n2","live":false,"version":"globex"}],"problems":[
			{"code":"poller-offline","scope":"system","severity":"error","tenant":"acme","subject":"p1","message":"poller p1 is offline"},
			{"code":"node-problem","scope":"system","severity":"error","subject":"n1","message":"globex is slow"},
			{"code":"poller-offline","scope":"system","severity":"error","tenant":"globex","subject":"p1","message":"globex"}]}`,
			[]string{"node-down n2", "poller-offline p1", "devices-down syd"}},
		"what follows from problems of others": {`{"leader":"n1","metaLeader":"n1","nodes":[{"id":"n1","live":true},{"id":"n2","live":false}],"problems":[
			{"code":"stream-no-leader","scope":"system","severity":"critical","tenant":"acme","subject":"STATE","message":"x"},
			{"code":"primary-silent","scope":"system","severity":"error","subject":"globex","message":"x"},
			{"code":"stream-filling","scope":"system","severity":"error","tenant":"acme","subject":"EVENTS","message":"x"}]}`,
			[]string{"node-down n2", "stream-filling EVENTS", "devices-down syd", "stream-no-leader STATE < node-down n2"}},
		"no quorum": {`{"leader":"","nodes":[{"id":"n1","live":true},{"id":"n2","live":false}],"problems":[{"code":"no-quorum","scope":"system","severity":"critical","subject":"n1","message":"globex"}]}`,
			[]string{"devices-down syd"}},
	} {
		t.Run(what, func(t *testing.T) {
			url := open(t, Config{Access: p.keeper}, fixedSource{x.cluster, primary})
			var got []string
			for _, q := range statusFor(t, url, p.tokens["viewer-acme"]).Problems {
				line := string(q.Code) + " " + q.Subject
				if q.Cause != nil {
					line += " < " + string(q.Cause.Code) + " " + q.Cause.Subject
				}
				got = append(got, line)
				if strings.Contains(q.Message+q.Hint+q.Subject, "globex") {
					t.Errorf("%+v", q)
				}
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

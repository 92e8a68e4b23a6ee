package look

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/console"
	"midplane/console/access"
	"midplane/fault"
	"midplane/telemetry"
)

// cannedSource answers every question with one of two halves. A half that is "" does not answer.
type cannedSource struct{ cluster, primary string }

func (s cannedSource) Admin(_ context.Context, _ string, _, resp any) error {
	return answerWith(s.cluster, resp)
}
func (s cannedSource) Query(_ context.Context, _ string, _, resp any) error {
	return answerWith(s.primary, resp)
}

func answerWith(body string, resp any) error {
	if body == "" {
		return fault.New(fault.Unavailable, "no answer")
	}
	return json.Unmarshal([]byte(body), resp)
}

// canned reads what the scripts' fake answers.
func canned(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The command line and the HTTP API find the same to be wrong, with the same
// severities, and the page shows what the HTTP API found.
func TestEveryWindowShowsTheSameProblems(t *testing.T) {
	store, err := access.Open(access.Folder(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := store.CreateToken("all", access.Viewer, "", access.TokenLife)
	if err != nil {
		t.Fatal(err)
	}
	cannedCluster, cannedPrimary := canned(t, "cluster"), canned(t, "primary")
	for what, src := range map[string]cannedSource{
		"an older node": {cannedCluster, cannedPrimary},
		"no primary":    {cannedCluster, ""},
		"n1 is down, n10 is mentioned": {`{"leader":"n10","metaLeader":"n10","nodes":[{"id":"n1","live":false},{"id":"n10","live":true}],
			"problems":[{"code":"node-problem","scope":"system","severity":"error","subject":"n10","message":"node n10: no route to n1","hint":"see its log"}]}`, cannedPrimary},
		"devices are down": {`{"leader":"n1","metaLeader":"n1","nodes":[{"id":"n1","live":true}],"problems":[]}`,
			`{"name":"p","tenants":[{"tenant":"acme","reading":true,"streams":[],"sites":[{"site":"syd","down":{"count":7,"names":["r1","r2"]}}]}]}`},
	} {
		t.Run(what, func(t *testing.T) {
			cons, err := console.New(console.Config{Access: access.NewKeeper(store, access.Config{})}, src, telemetry.Nop())
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8480/api/v1/status", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			cons.Handler().ServeHTTP(w, r)
			var shown console.Status
			if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%d %s (%v)", w.Code, w.Body, err)
			}
			printed, err := statusOf(t.Context(), src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(printed.Problems, shown.Problems); diff != "" || len(printed.Problems) == 0 {
				t.Errorf("command line and HTTP API (-cli +http):\n%s", diff)
			}
			if what == "n1 is down, n10 is mentioned" && !slices.ContainsFunc(shown.Problems, func(p api.Problem) bool { return p.Code == api.CodeNodeDown && p.Subject == "n1" }) {
				t.Errorf("n1 is not named: %+v", shown.Problems)
			}
			if printed.OK == api.Failing(shown.Problems, api.ScopeSystem) {
				t.Errorf("ok is %v with %+v", printed.OK, printed.Problems)
			}
			for _, p := range printed.Problems {
				if p.Code == "" || p.Scope == "" || p.Severity == "" || p.Hint == "" {
					t.Errorf("not whole: %+v", p)
				}
			}
		})
	}
}

// The page's script shows the list that the HTTP API gives, and judges nothing:
// it knows no problem's text and looks for no name in one.
func TestPageDecidesNothing(t *testing.T) {
	script, err := os.ReadFile("../../../console/static/cluster.js")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`showHealth\(s, s\.problems\)`).Match(script) {
		t.Error("the page does not show the list of the HTTP API")
	}
	if found := regexp.MustCompile(`(?m)^.*(severity: '|\.includes\(|is not live|is not ready).*$`).FindAll(script, -1); found != nil {
		t.Errorf("the page judges by itself: %q", found)
	}
}

package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

func TestEveryKindAsksItsDoor(t *testing.T) {
	src := newFake()
	url := open(t, Config{}, src)
	for _, k := range []string{"tenants", "sites", "pollers", "devices", "interfaces", "checks", "events", "streams", "replicas", "ledger", "limits", "schemas"} {
		status, h, body := ask(t, url+"/api/v1/"+k)
		if status != http.StatusOK || body != "[]\n" || h.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %d %q", k, status, body)
		}
		if status, _, body = ask(t, url+"/api/v1/"+k+"?limit=5"); status != http.StatusOK || body != `{"items":[]}`+"\n" {
			t.Errorf("%s, one page: %d %q", k, status, body)
		}
	}
	want := []string{
		"admin tenant.list", "admin site.list", "admin poller.list", "query device.list", "query interface.list",
		"query check.list", "query event.list", "admin stream.list", "admin replica.list", "query ledger.list", "admin limits.list", "admin schema.list",
	}
	var got []string
	for _, a := range src.requests() { // two of each, and pollers for the ledger
		if verb := strings.Join(strings.Fields(a)[:2], " "); !slices.Contains(got, verb) {
			got = append(got, verb)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestWholeListAndPages(t *testing.T) {
	src := newFake()
	src.devices = devices("a", "b", "c", "d", "e")
	url := open(t, Config{}, src)

	var all []api.Device
	_, _, body := ask(t, url+"/api/v1/devices")
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if diff := cmp.Diff(src.devices, all); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if n := len(src.requests()); n != 3 {
		t.Errorf("%d questions for 5 devices, 2 a page", n)
	}

	var paged []api.Device
	next := ""
	for range 5 {
		var p api.Page[api.Device]
		_, _, body := ask(t, url+"/api/v1/devices?limit=2&after="+next)
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		paged = append(paged, p.Items...)
		if next = p.Next; next == "" {
			break
		}
	}
	if diff := cmp.Diff(src.devices, paged); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

// A list that breaks in the middle must not look like a whole one.
func TestBrokenListIsCutOff(t *testing.T) {
	src := newFake()
	src.devices = devices("a", "b", "c")
	url := open(t, Config{}, breaksAfter{src, new(int)})
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, url+"/api/v1/devices", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return // cut off before anything was sent: just as well
	}
	defer resp.Body.Close()
	var all []api.Device
	if err := json.NewDecoder(resp.Body).Decode(&all); err == nil {
		t.Fatalf("a half list was read as a whole one: %v", all)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	src := newFake()
	src.tenants = []api.Tenant{{ID: "acme", Tenant: "acme"}}
	url := open(t, Config{}, src)
	for path, want := range map[string]string{
		"/api/v1/tenants":               `"conditions":[]`,
		"/api/v1/devices/acme/syd/r1":   `"interfaces":[],"checks":[],"metrics":[],"events":[]`,
		"/api/v1/status":                `"problems":[],"primaries":[]`,
		"/api/v1/status?":               `"streams":[]`,
		"/api/v1/devices/acme/syd/r%31": `"events":[]`,
	} {
		status, _, body := ask(t, url+path)
		if status != http.StatusOK || !strings.Contains(body, want) || strings.Contains(strings.ReplaceAll(body, `"lastSeen":null`, ""), "null") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestFiltersReachTheSource(t *testing.T) {
	src := newFake()
	url := open(t, Config{}, src)
	before := time.Now()
	ask(t, url+"/api/v1/devices?tenant=acme&site=syd&limit=7&after=x%2Fy")
	ask(t, url+"/api/v1/events?tenant=acme&site=_&severity=warning&type=net.reachability&entity=r1%2Fif%2F2&since=2026-01-31T15:04:05%2B01:00&limit=")
	ask(t, url+"/api/v1/events?since=15m&newest=true")
	ask(t, url+"/api/v1/limits?tenant=acme&producer=feed&limit=3")
	ask(t, url+"/api/v1/devices?status=down&poller=syd-01&q=rtr+9&order=status&limit=2")
	ask(t, url+"/api/v1/checks?status=critical&q=web")
	ask(t, url+"/api/v1/devices/changes?tenant=acme&status=down&q=rtr&since=db.1")
	got := src.requests()
	for i, want := range []string{
		`query device.list {"status":"down","poller":"syd-01","search":"rtr 9","order":"status","limit":2}`,
		`query check.list {"status":"critical","search":"web"}`,
		`query device.changes {"tenant":"acme","status":"down","search":"rtr","since":"db.1"}`,
	} {
		if got[4+i] != want {
			t.Errorf("got %s\nwant %s", got[4+i], want)
		}
	}
	if want := `admin limits.list {"tenant":"acme","producer":"feed","limit":3}`; got[3] != want {
		t.Errorf("got %s\nwant %s", got[3], want)
	}
	if want := `query device.list {"tenant":"acme","site":"syd","limit":7,"after":"x/y"}`; got[0] != want {
		t.Errorf("got %s\nwant %s", got[0], want)
	}
	want := `query event.list {"tenant":"acme","site":"_","severity":"warning","type":"net.reachability","entity":"r1/if/2","since":"2026-01-31T14:04:05Z"}`
	if got[1] != want {
		t.Errorf("got %s\nwant %s", got[1], want)
	}
	var req api.EventRequest
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got[2], "query event.list ")), &req); err != nil {
		t.Fatal(err)
	}
	if ago := before.Sub(*req.Since); !req.Newest || ago > 15*time.Minute || ago < 14*time.Minute {
		t.Errorf("since %v, newest %v", req.Since, req.Newest)
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	src := newFake()
	url := open(t, Config{}, src)
	for path, name := range map[string]string{
		"/api/v1/devices?tennant=acme":                       "tennant",
		"/api/v1/tenants?site=syd":                           "site",
		"/api/v1/devices?severity=info":                      "severity",
		"/api/v1/devices?tenant=*":                           "tenant",
		"/api/v1/devices?tenant=a&tenant=b":                  "tenant",
		"/api/v1/devices?producer=feed":                      "producer",
		"/api/v1/devices?order=name":                         "order",
		"/api/v1/devices?poller=*":                           "poller",
		"/api/v1/interfaces?poller=p1":                       "poller",
		"/api/v1/devices?q=" + strings.Repeat("x", 300):      "q",
		"/api/v1/devices?since=15m":                          "since",
		"/api/v1/devices/changes?after=x":                    "after",
		"/api/v1/devices/changes?since=a&since=b":            "since",
		"/api/v1/limits?producer=*":                          "producer",
		"/api/v1/limits?site=syd":                            "site",
		"/api/v1/devices?limit=0":                            "limit",
		"/api/v1/devices?limit=1001":                         "limit",
		"/api/v1/devices?limit=many":                         "limit",
		"/api/v1/events?severity=bad":                        "severity",
		"/api/v1/events?since=yesterday":                     "since",
		"/api/v1/events?since=-5m":                           "since",
		"/api/v1/events?type=a%20b":                          "type",
		"/api/v1/events?entity=%00":                          "entity",
		"/api/v1/events?newest=true&after=1":                 "newest",
		"/api/v1/events?newest=perhaps":                      "newest",
		"/api/v1/events/stream?since=15m":                    "since",
		"/api/v1/status?verbose=1":                           "verbose",
		"/api/v1/devices/acme/syd/r1?x=1":                    "x",
		"/api/v1/devices/a*/syd/r1":                          "tenant",
		"/api/v1/devices/acme/s.d/r1":                        "site",
		"/api/v1/devices/acme/syd/%00":                       "entity",
		"/api/v1/devices?after=" + strings.Repeat("x", 2000): "after",
		"/api/v1/devices?tenant=%zz":                         "query",
	} {
		status, _, body := ask(t, url+path)
		var p problemBody
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s: %v in %s", path, err, body)
		}
		if status != http.StatusBadRequest || p.Error.Code != fault.Invalid || !strings.Contains(p.Error.Message, name) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if asked := src.requests(); len(asked) > 0 {
		t.Errorf("refused, but the source was asked: %v", asked)
	}
}

func TestErrorTable(t *testing.T) {
	want := map[fault.Kind]int{
		fault.Invalid: 400, fault.Denied: 403, fault.NotFound: 404, fault.Conflict: 409,
		fault.Unavailable: 503, fault.Exhausted: 429, fault.Other: 500,
	}
	if diff := cmp.Diff(want, httpStatus); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	src := newFake()
	url := open(t, Config{}, src)
	for k, status := range want {
		src.fail(api.DeviceList, fault.WithHint(fault.Wrap(k, errTest, "asked"), "listen to it"))
		got, h, body := ask(t, url+"/api/v1/devices")
		if body != `{"error":{"code":"`+string(k)+`","message":"asked: the disk hums","hint":"listen to it"}}`+"\n" || got != status {
			t.Errorf("%s: %d %s", k, got, body)
		}
		if again := h.Get("Retry-After") != ""; again != (status == 503 || status == 429) {
			t.Errorf("%s: Retry-After %q", k, h.Get("Retry-After"))
		}
	}
	src.fail(api.DeviceList, errTest)
	if got, _, body := ask(t, url+"/api/v1/devices"); got != 500 || !strings.Contains(body, `"code":"other"`) {
		t.Errorf("not classified: %d %s", got, body)
	}
	if got, _, body := ask(t, url+"/api/v1/nothing"); got != 404 || !strings.Contains(body, `"code":"not-found"`) {
		t.Errorf("no such path: %d %s", got, body)
	}
}

func TestDeviceIdsWithSlashes(t *testing.T) {
	url := open(t, Config{}, newFake())
	for path, id := range map[string]string{"rack%2F1%2Fr1": "rack/1/r1", "a%2F..%2Fb": "a/../b", "%2E%2E": "..", "%C3%BCber%20r1": "über r1"} {
		status, _, body := ask(t, url+"/api/v1/devices/acme/syd/"+path)
		var d api.DeviceDetail
		if err := json.Unmarshal([]byte(body), &d); err != nil || status != http.StatusOK || d.Device.ID != id {
			t.Errorf("%s: %d %s (%v)", path, status, body, err)
		}
	}
}

func TestStatusShowsTheOtherHalf(t *testing.T) {
	src := newFake()
	url := open(t, Config{}, src)
	src.fail(api.PrimaryStatus, fault.WithHint(fault.New(fault.Unavailable, "no one answers"), "start one"))
	status, _, body := ask(t, url+"/api/v1/status")
	if status != http.StatusOK || !strings.Contains(body, `"leader":"n1"`) || strings.Contains(body, `"primary":{`) ||
		!strings.Contains(body, `"errors":[{"source":"primary","code":"unavailable","message":"no one answers","hint":"start one"}]`) {
		t.Errorf("%d %s", status, body)
	}
	src.fail(api.NodeStatus, fault.New(fault.Unavailable, "no quorum"))
	if status, _, body = ask(t, url+"/api/v1/status"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no quorum") {
		t.Errorf("%d %s", status, body)
	}
}

// A device may be called anything. JSON keeps it from being markup even where
// the answer is shown as a page.
func TestMarkupInANameStaysText(t *testing.T) {
	const evil = `<img src=x onerror=alert(1)></script><script>alert(2)</script>`
	src := newFake()
	src.devices = []api.Device{{ID: evil, Name: evil, Tenant: "acme", Site: "syd", Status: event.StatusUp}}
	url := open(t, Config{}, src)
	for _, path := range []string{"/api/v1/devices", "/api/v1/devices?limit=1"} {
		_, h, body := ask(t, url+path)
		if strings.ContainsAny(body, "<>") || h.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %s %s", path, h.Get("Content-Type"), body)
		}
		if !strings.Contains(body, `\u003cimg src=x`) {
			t.Errorf("%s: the name is gone: %s", path, body)
		}
	}
}

// A viewer of one tenant sees the limits of that tenant, with every field; what is
// not known is null and not 0.
func TestLimitsOfTheOwnTenant(t *testing.T) {
	p := newPeople(t)
	url := open(t, Config{Access: p.keeper}, fixedSource{cluster: `{"items":[
		{"tenant":"acme","producer":"","limit":"messageRate","value":6000,"hint":"wait"},
		{"tenant":"acme","producer":"feed","limit":"producerMessageRate","value":5,"used":4,"refused":7,"heldBackSince":"2026-03-01T08:00:00Z","hint":"raise it"},
		{"tenant":"globex","producer":"feed","limit":"messageRate","value":9,"hint":"wait"}]}`})
	want := `[{"tenant":"acme","producer":"","limit":"messageRate","value":6000,"used":null,"refused":0,"heldBackSince":null,"hint":"wait"},
{"tenant":"acme","producer":"feed","limit":"producerMessageRate","value":5,"used":4,"refused":7,"heldBackSince":"2026-03-01T08:00:00Z","hint":"raise it"}]
`
	status, _, body := ask(t, url+"/api/v1/limits", withToken(p.tokens["viewer-acme"]))
	if diff := cmp.Diff(want, body); status != http.StatusOK || diff != "" {
		t.Errorf("%d (-want +got):\n%s", status, diff)
	}
	if _, _, body := ask(t, url+"/api/v1/limits", withToken(p.tokens["viewer"])); !strings.Contains(body, "globex") {
		t.Errorf("a viewer of all tenants: %s", body)
	}
}

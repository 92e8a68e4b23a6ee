package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// secretive is a tenant of two sites: r1 is watched by syd-01 with
// secret:north, r2 by mel-01 with secret:south.
func secretive(t *testing.T, id string, port int) *tenants.Spec {
	t.Helper()
	device := func(id, secret string) string {
		return fmt.Sprintf(`{"id":%q,"address":"127.0.0.1","snmp":{"version":"2c","port":%d,"community":"secret:%s"},
			"checks":[{"name":"snmp","collector":"snmp","interval":"1s","timeout":"1s"}]}`, id, port, secret)
	}
	spec, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"` + id + `","sites":[
		{"id":"syd","pollers":[{"id":"syd-01"}],"devices":[` + device("r1", "north") + `]},
		{"id":"mel","pollers":[{"id":"mel-01"}],"devices":[` + device("r2", "south") + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// member is a user with its key and a client of the control channel.
type member struct {
	nc   *nats.Conn
	name string
	seed []byte
	ch   *api.Channel
}

func join(t *testing.T, c *testcluster.Cluster, tenant string, role account.Role, name string) member {
	t.Helper()
	key, seed := newKey(t)
	nc, err := c.Connect(userWith(t, c, tenant, role, name, key, seed), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	m := member{nc: nc, name: name, seed: seed}
	m.ch = api.NewChannel(nc, name, m.sign)
	return m
}

func (m member) sign(data []byte) ([]byte, error) {
	kp, err := nkeys.FromSeed(m.seed)
	if err != nil {
		return nil, err
	}
	return kp.Sign(data)
}

// secrets asks as a poller does, and opens the answer.
func (m member) secrets(ctx context.Context, want uint64) (map[string]string, api.SecretsAnswer, error) {
	kp, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, api.SecretsAnswer{}, err
	}
	public, err := kp.PublicKey()
	if err != nil {
		return nil, api.SecretsAnswer{}, err
	}
	var answer api.SecretsAnswer
	if err := m.ch.Do(ctx, api.ChannelSecrets, api.SecretsRequest{Key: public, Want: want}, &answer); err != nil {
		return nil, answer, err
	}
	plain, err := kp.Open(answer.Sealed, answer.Sender)
	if err != nil {
		return nil, answer, err
	}
	values := map[string]string{}
	return values, answer, json.Unmarshal(plain, &values)
}

// is waits until a poller is given exactly these values: the node that answers
// may be behind by a moment.
func (m member) is(t *testing.T, want map[string]string) {
	t.Helper()
	testwait.Until(t, fmt.Sprintf("%s is given %d secrets", m.name, len(want)), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		got, _, err := m.secrets(ctx, 0)
		if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			err = fmt.Errorf("other values, or %d of them", len(got))
		}
		return err
	})
}

func setSecret(t *testing.T, c *testcluster.Cluster, tenant, name, value string) {
	t.Helper()
	if err := do(t, c, api.SecretSet, api.SetSecret{Tenant: tenant, Name: name, Value: value}, nil); err != nil {
		t.Fatal(err)
	}
}

// A secret goes to the pollers whose configuration refers to it, and to no one
// else: not to another site's poller, another tenant's, another role, and not
// to a client that listens where an answer was aimed at.
func TestSecretGoesOnlyWhereItIsReferredTo(t *testing.T) {
	c := cluster(t)
	apply(t, c, secretive(t, "sec", 161))
	apply(t, c, secretive(t, "sec2", 161))
	syd, mel := join(t, c, "sec", account.RolePoller, "syd-01"), join(t, c, "sec", account.RolePoller, "mel-01")
	foreign := join(t, c, "sec2", account.RolePoller, "syd-01")
	app := join(t, c, "sec", account.RoleInspector, "ann")

	if _, ok := hasProblem(ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}), "warning", "sec", "secret:north is referred to and not set"); !ok {
		t.Error("status does not name a secret that is not set")
	}
	syd.is(t, map[string]string{})
	const north, south = "north-winter", "south-winter"
	setSecret(t, c, "sec", "north", north)
	setSecret(t, c, "sec", "south", south)
	setSecret(t, c, "sec", "unused", "idle-winter")
	syd.is(t, map[string]string{"north": north})
	mel.is(t, map[string]string{"south": south})
	foreign.is(t, map[string]string{})
	setSecret(t, c, "sec", "north", north+"-2")
	syd.is(t, map[string]string{"north": north + "-2"})

	ctx := testContext(t)
	if _, _, err := app.secrets(ctx, 0); !fault.Is(err, fault.Denied) {
		t.Errorf("an inspector asks: %v", err)
	}
	// in another's name: the signature is not the other's
	forged := api.NewChannel(syd.nc, "syd-01", mel.sign)
	if err := forged.Do(ctx, api.ChannelSecrets, api.SecretsRequest{Key: "X"}, nil); !fault.Is(err, fault.Denied) {
		t.Errorf("with another's signature: %v", err)
	}
	for _, key := range []string{"", "X", "UABC", strings.Repeat("X", 56)} {
		if err := syd.ch.Do(ctx, api.ChannelSecrets, api.SecretsRequest{Key: key}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("sealed for the key %q: %v", key, err)
		}
	}

	// An answer aimed at the bus, where a client listens, says nothing.
	kp, err := nkeys.CreateCurveKeys()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := kp.PublicKey()
	body, _ := json.Marshal(api.SecretsRequest{Key: public})
	at := time.Now().UTC()
	sig, err := syd.sign(api.SignedBytes("syd-01", api.ChannelSecrets, at, body))
	if err != nil {
		t.Fatal(err)
	}
	signed, _ := json.Marshal(api.Signed{Body: body, Time: at, Signature: sig})
	ear, err := app.nc.SubscribeSync("_INBOX.ann.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var got *nats.Msg
	testwait.Until(t, "the listener hears the answer", func() error {
		if err := syd.nc.PublishRequest(subject.ControlOf("syd-01", api.ChannelSecrets), "_INBOX.ann.x", signed); err != nil {
			return err
		}
		got, err = ear.NextMsg(time.Second)
		return err
	})
	if bytes.Contains(got.Data, []byte("winter")) || bytes.Contains(got.Data, []byte("north")) || !bytes.Contains(got.Data, []byte(`"sealed"`)) {
		t.Errorf("the answer that came: %.200q", got.Data)
	}

	// Names, who and when; never values.
	page := ask[json.RawMessage](t, c, api.SecretList, api.ListRequest{Tenant: "sec"})
	var rows api.Page[api.Secret]
	if err := json.Unmarshal(page, &rows); err != nil || len(rows.Items) != 3 || bytes.Contains(page, []byte("winter")) {
		t.Errorf("the list: %v, %s", err, page)
	}
	for _, r := range rows.Items {
		if r.Status != api.SecretIsSet || r.SetBy != testcluster.Admin || r.SetAt == nil || r.Name == "north" && fmt.Sprint(r.Pollers) != "[syd-01]" {
			t.Errorf("%+v", r)
		}
	}
	for _, verb := range []string{api.TenantSpec, api.TenantStatus} {
		if got := ask[json.RawMessage](t, c, verb, api.TenantRef{Tenant: "sec"}); bytes.Contains(got, []byte("winter")) {
			t.Errorf("%s shows a value", verb)
		}
	}

	// Forgotten on purpose, and with the tenant.
	if err := do(t, c, api.SecretDelete, api.SecretRef{Tenant: "sec", Name: "north"}, nil); err != nil {
		t.Fatal(err)
	}
	syd.is(t, map[string]string{})
	wantKind(t, "delete twice", do(t, c, api.SecretDelete, api.SecretRef{Tenant: "sec", Name: "north"}, nil), fault.NotFound)
	if err := do(t, c, api.TenantDelete, api.TenantRef{Tenant: "sec"}, nil); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the tenant is gone", func() error {
		if err := do(t, c, api.TenantStatus, api.TenantRef{Tenant: "sec"}, nil); !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
	apply(t, c, secretive(t, "sec", 161))
	rows = ask[api.Page[api.Secret]](t, c, api.SecretList, api.ListRequest{Tenant: "sec"})
	for _, r := range rows.Items {
		if r.Status == api.SecretIsSet {
			t.Errorf("%s is still set for a new tenant of the same id", r.ID)
		}
	}
	join(t, c, "sec", account.RolePoller, "mel-01").is(t, map[string]string{})
}

// What cannot be a secret is refused, and never repeated.
func TestSecretIsRefusedInSilence(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("secbad"))
	for _, x := range []api.SetSecret{
		{Tenant: "secbad", Name: "a.b-winter", Value: "x"}, {Tenant: "secbad", Name: "", Value: "x"}, {Tenant: "secbad", Name: ">", Value: "x"},
		{Tenant: "secbad", Name: "ok", Value: ""}, {Tenant: "secbad", Name: "ok", Value: "winter\nsummer"},
		{Tenant: "secbad", Name: "ok", Value: strings.Repeat("winter", 200)}, {Tenant: "secbad", Name: "ok", Value: "winter\x00"},
	} {
		err := do(t, c, api.SecretSet, x, nil)
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error()+fault.HintOf(err), "winter") {
			t.Errorf("%q: %v", x.Name, err)
		}
	}
	wantKind(t, "no tenant", do(t, c, api.SecretSet, api.SetSecret{Tenant: "missing", Name: "x", Value: "y"}, nil), fault.NotFound)
}

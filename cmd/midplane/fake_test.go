package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/bus"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// fake is a control plane and a primary of canned answers, behind a real NATS
// server in operator mode whose users have their real roles.
type fake struct {
	server  *server.Server
	control account.Keys
	acme    account.Keys
	stopAll []func()

	mu      sync.Mutex
	specs   map[string]json.RawMessage // by tenant
	revs    map[string]uint64
	looks   map[string]int // how often the status was asked since the last put
	users   map[string]api.CreateUser
	secrets map[string]api.Secret
	revoked map[string]bool
	tokens  []api.Token
	flaky   bool
	follows int
	waiting map[int]chan struct{}
	drained map[string]int // how often each node was asked for since it was drained
}

func startFake(dir string) (*fake, error) {
	f := &fake{specs: map[string]json.RawMessage{}, revs: map[string]uint64{"acme": 7, "globex": 9}, looks: map[string]int{},
		users: map[string]api.CreateUser{}, secrets: map[string]api.Secret{}, waiting: map[int]chan struct{}{}, drained: map[string]int{}}
	if err := f.startServer(dir); err != nil {
		return nil, err
	}
	for _, u := range []struct {
		context, name string
		role          account.Role
	}{{"midplane", "ann", account.RoleAdmin}, {"weak", "weak", account.RoleCore}} {
		if err := f.saveContext(dir, u.context, u.name, u.role); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stopAll = append(f.stopAll, cancel)
	if err := f.serve(ctx, account.RoleService, subject.DoorAdmin, f.admin); err != nil {
		return nil, err
	}
	return f, f.serve(ctx, account.RoleQuery, subject.DoorQuery, f.query)
}

func (f *fake) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.stopAll) - 1; i >= 0; i-- {
		f.stopAll[i]()
	}
	f.stopAll = nil
}

func (f *fake) startServer(dir string) error {
	sys, err := account.NewKeys(account.SystemRoles)
	if err != nil {
		return err
	}
	op, err := account.NewOperator("test", sys.Public)
	if err != nil {
		return err
	}
	if f.control, err = account.NewKeys(account.ControlRoles); err != nil {
		return err
	}
	if f.acme, err = account.NewKeys(account.TenantRoles); err != nil {
		return err
	}
	signer, err := account.NewSigner(op.Signing)
	if err != nil {
		return err
	}
	sysJWT, err := signer.System(sys)
	if err != nil {
		return err
	}
	controlJWT, err := signer.Control(f.control, 1<<30)
	if err != nil {
		return err
	}
	conf := fmt.Sprintf("listen: \"127.0.0.1:-1\"\noperator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n %s: %s\n %s: %s\n}\n",
		op.JWT, sys.Public, sys.Public, sysJWT, f.control.Public, controlJWT)
	path := filepath.Join(dir, ".server.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return err
	}
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		return err
	}
	opts.NoLog, opts.NoSigs = true, true
	if f.server, err = server.NewServer(opts); err != nil {
		return err
	}
	f.server.Start()
	f.stopAll = append(f.stopAll, f.server.Shutdown)
	if !f.server.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("the server is not ready")
	}
	return nil
}

// creds makes a user of CONTROL.
func (f *fake) creds(name string, role account.Role) (string, []byte, error) {
	public, seed, err := account.NewUserKey()
	if err != nil {
		return "", nil, err
	}
	jwt, err := account.IssueUser(f.control, role, account.User{Name: name, Key: public})
	return jwt, seed, err
}

func (f *fake) saveContext(dir, context, name string, role account.Role) error {
	jwt, seed, err := f.creds(name, role)
	if err != nil {
		return err
	}
	data, err := account.FormatCreds(jwt, seed)
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "xdg", "nats", "context")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	creds := filepath.Join(dir, "xdg", name+".creds")
	if err := os.WriteFile(creds, data, 0o600); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]string{"url": f.server.ClientURL(), "creds": creds, "inbox_prefix": subject.InboxPrefix(name)})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, context+".json"), text, 0o600)
}

type verbHandler func(ctx context.Context, verb string, body []byte) (any, error)

// serve answers one door.
func (f *fake) serve(ctx context.Context, role account.Role, door string, h verbHandler) error {
	jwt, seed, err := f.creds(account.UserService, role)
	if err != nil {
		return err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return err
	}
	nc, err := bus.Connect(bus.Config{User: account.UserService, JWT: jwt, Sign: sign, Servers: []string{f.server.ClientURL()},
		Dial: nats.InProcessServer(f.server), MaxWait: 10 * time.Second}, telemetry.Nop())
	if err != nil {
		return err
	}
	f.stopAll = append(f.stopAll, nc.Close)
	service, err := micro.AddService(nc, micro.Config{Name: door, Version: "0.0.1"})
	if err != nil {
		return err
	}
	answer := func(ctx context.Context, subj string, body []byte) (any, error) {
		_, _, verb, err := subject.ParseRequest(subj)
		if err != nil {
			return nil, err
		}
		return h(ctx, verb, body)
	}
	if err := service.AddEndpoint("all", api.Endpoint(ctx, time.Minute, answer), micro.WithEndpointSubject(door+".*.>")); err != nil {
		return err
	}
	return nc.Flush()
}

// followed returns a channel that is closed when event.follow is asked for the
// n-th time.
func (f *fake) followed(n int) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting[n] == nil {
		f.waiting[n] = make(chan struct{})
		if f.follows >= n {
			close(f.waiting[n])
		}
	}
	return f.waiting[n]
}

package channel

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/pollertest"
)

// divided is a control plane whose configurations are in parts, one device each. It
// answers one part at a time, and then not for as often as fails says.
type divided struct {
	sync.Mutex
	revision uint64
	parts    map[string]json.RawMessage
	names    []string
	asked    []string
	fails    int
}

func (d *divided) set(t *testing.T, revision uint64, devices ...api.PollerDevice) {
	t.Helper()
	d.Lock()
	defer d.Unlock()
	d.revision, d.parts, d.names, d.asked = revision, map[string]json.RawMessage{}, nil, nil
	for _, device := range devices {
		data, err := json.Marshal([]api.PollerDevice{device})
		if err != nil {
			t.Fatal(err)
		}
		d.parts[api.PartName(data)] = data
		d.names = append(d.names, api.PartName(data))
	}
}

func (d *divided) answer(verb string, body []byte) (any, error) {
	var s api.Signed
	if err := api.Decode(body, &s); err != nil {
		return nil, err
	}
	d.Lock()
	defer d.Unlock()
	if verb == api.ChannelConfig {
		return api.PollerConfig{Revision: d.revision, Poller: "syd-01", Parts: d.names}, nil
	}
	var req api.ConfigParts
	if err := api.Decode(s.Body, &req); err != nil {
		return nil, err
	}
	if len(d.asked) == 1 && d.fails > 0 {
		d.fails--
		return nil, fault.New(fault.Unavailable, "no leader")
	}
	d.asked = append(d.asked, req.Parts[0])
	return api.PartsAnswer{Parts: []json.RawMessage{d.parts[req.Parts[0]]}}, nil
}

func device(id, address string) api.PollerDevice {
	return api.PollerDevice{ID: event.Entity(id), Address: address}
}

func TestConfigurationInParts(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	d := &divided{}
	control := pollertest.Connect(t, s.ClientURL(), "control")
	svc, err := micro.AddService(control, micro.Config{Name: "control", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Stop() })
	for _, verb := range []string{api.ChannelConfig, api.ChannelParts} {
		endpoint := func(_ context.Context, _ string, body []byte) (any, error) { return d.answer(verb, body) }
		if err := svc.AddEndpoint(verb, api.Endpoint(context.Background(), time.Minute, endpoint), micro.WithEndpointSubject("control.syd-01."+verb)); err != nil {
			t.Fatal(err)
		}
	}
	if err := control.Flush(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	pollertest.Creds(t, file)
	var a applied
	c := newChannel(dir, "syd-01", file, &a)
	client := api.NewChannel(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", func([]byte) ([]byte, error) { return []byte("x"), nil })
	ctx, cancel := context.WithTimeout(t.Context(), pollertest.Patience)
	defer cancel()
	ask := func() error {
		_, err := c.ask(ctx, client)
		return err
	}

	// The connection breaks after the first part: it is not asked for again, and
	// nothing is applied before all are there.
	d.set(t, 7, device("r1", "192.0.2.1"), device("r2", "192.0.2.2"), device("r3", "192.0.2.3"))
	d.fails = 1
	if err := ask(); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a part that does not come: %v", err)
	}
	if _, n := a.last(); n != 0 {
		t.Fatal("a part of a configuration was applied")
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if rev, n := a.last(); rev != 7 || n != 1 || len(a.list[0].Devices) != 3 || len(d.asked) != 3 {
		t.Fatalf("revision %d, %d applied, asked for %d parts", rev, n, len(d.asked))
	}

	// One part changes.
	d.set(t, 8, device("r1", "192.0.2.1"), device("r2", "192.0.2.22"), device("r3", "192.0.2.3"))
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if len(d.asked) != 1 || a.list[1].Devices[1].Address != "192.0.2.22" {
		t.Errorf("asked for %d parts: %+v", len(d.asked), a.list[1].Devices)
	}
	if files, err := os.ReadDir(filepath.Join(dir, partsDir)); err != nil || len(files) != 4 {
		t.Errorf("%d files on disk, want three parts and the head: %v", len(files), err)
	}

	// What is on disk is used after a start, and what it holds is not asked for.
	var b applied
	c = newChannel(dir, "syd-01", file, &b)
	c.Restore()
	if rev, _ := b.last(); rev != 8 || len(b.list[0].Devices) != 3 {
		t.Fatalf("restored revision %d", rev)
	}
	d.set(t, 9, device("r2", "192.0.2.22"), device("r4", "192.0.2.4"))
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if rev, _ := b.last(); rev != 9 || len(d.asked) != 1 {
		t.Errorf("revision %d, asked for %d parts that are on disk", rev, len(d.asked))
	}

	// A damaged part: the configuration is not used.
	if err := os.WriteFile(filepath.Join(dir, partsDir, d.names[0]+".json"), []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	var damaged applied
	newChannel(dir, "syd-01", file, &damaged).Restore()
	if _, n := damaged.last(); n != 0 {
		t.Error("a damaged part was used")
	}
}

// A configuration that becomes small is in one file again; of two forms that a power
// cut left, the newer counts.
func TestBothFormsOnDisk(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "syd-01.creds")
	pollertest.Creds(t, file)
	whole := func(rev uint64) api.PollerConfig {
		return api.PollerConfig{Revision: rev, Poller: "syd-01", Devices: []api.PollerDevice{device("whole", "192.0.2.1")}}
	}
	restored := func() (uint64, event.Entity) {
		var a applied
		newChannel(dir, "syd-01", file, &a).Restore()
		if len(a.list) == 0 {
			return 0, ""
		}
		return a.list[0].Revision, a.list[0].Devices[0].ID
	}
	var a applied
	c := newChannel(dir, "syd-01", file, &a)
	data, err := json.Marshal([]api.PollerDevice{device("parts", "192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPart(api.PartName(data), data)
	if err != nil {
		t.Fatal(err)
	}
	c.take(whole(3))
	old, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	c.parts.all[api.PartName(data)] = p
	c.take(api.PollerConfig{Revision: 5, Poller: "syd-01", Parts: []string{api.PartName(data)}, Devices: p.devices})
	if _, err := os.Stat(c.path); !os.IsNotExist(err) {
		t.Errorf("an older version would find an older configuration: %v", err)
	}
	if rev, id := restored(); rev != 5 || id != "parts" {
		t.Errorf("restored %d %s", rev, id)
	}
	if err := os.WriteFile(c.path, old, 0o600); err != nil { // the power was cut before it was removed
		t.Fatal(err)
	}
	if rev, id := restored(); rev != 5 || id != "parts" {
		t.Errorf("restored %d %s", rev, id)
	}
	head, err := os.ReadFile(filepath.Join(dir, partsDir, headFile))
	if err != nil {
		t.Fatal(err)
	}
	c.take(whole(9))
	if _, err := os.Stat(filepath.Join(dir, partsDir)); !os.IsNotExist(err) {
		t.Errorf("parts are left: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, partsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, partsDir, headFile), head, 0o600); err != nil {
		t.Fatal(err)
	}
	if rev, id := restored(); rev != 9 || id != "whole" {
		t.Errorf("restored %d %s", rev, id)
	}
}

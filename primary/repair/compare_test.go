package repair

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// version makes a state of epoch 2.
func version(entity event.Entity, typ event.Type, seq uint64, data string) store.State {
	return store.State{Entity: entity, Type: typ, Version: fold.Version{Epoch: 2, Seq: seq, Data: json.RawMessage(data)}}
}

// heartbeat makes the heartbeat of device r1 that counts these states.
func heartbeat(t interface{ Fatal(...any) }, seq uint64, states ...store.State) store.State {
	s := event.Seen{Device: "r1", Checks: []event.CheckRuns{}, States: len(states)}
	var sum event.Digest
	for _, st := range states {
		if sum = sum.Add(event.DigestOf(st.Entity, st.Type, st.Data)); s.From == 0 || st.Seq < s.From {
			s.From = st.Seq
		}
	}
	s.Digest = sum.String()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return version("r1", event.TypeSeen, seq, string(data))
}

// won is a state that counts.
func won(s store.State) store.State { s.Winner = true; return s }

func TestCompare(t *testing.T) {
	up, eth := version("r1", event.TypeReachability, 10, `{"status":"up"}`), version("r1/if/1", event.TypeInterface, 11, `{"name":"eth0"}`)
	with := func(s store.State, f func(*store.State)) store.State { f(&s); return s }
	for name, tc := range map[string]struct {
		held []store.State
		want outcome
	}{
		"all":                 {[]store.State{up, eth, heartbeat(t, 20, up, eth)}, equal},
		"none, as it says":    {[]store.State{heartbeat(t, 20)}, equal},
		"one is missing":      {[]store.State{up, heartbeat(t, 20, up, eth)}, different},
		"one too many":        {[]store.State{up, eth, heartbeat(t, 20, up)}, different},
		"another payload":     {[]store.State{up, with(eth, func(s *store.State) { s.Data = json.RawMessage(`{"name": "eth0"}`) }), heartbeat(t, 20, up, eth)}, different},
		"another entity":      {[]store.State{up, with(eth, func(s *store.State) { s.Entity = "r1/if/2" }), heartbeat(t, 20, up, eth)}, different},
		"an interface gone":   {[]store.State{up, with(eth, func(s *store.State) { s.Seq = 9 }), heartbeat(t, 20, up)}, equal},
		"an outbox gone":      {[]store.State{up, with(eth, func(s *store.State) { s.Epoch, s.Seq = 1, 99 }), heartbeat(t, 20, up)}, equal},
		"a newer state":       {[]store.State{up, with(eth, func(s *store.State) { s.Seq = 21 }), heartbeat(t, 20, up, eth)}, unsettled},
		"a newer outbox":      {[]store.State{up, with(eth, func(s *store.State) { s.Epoch, s.Seq = 3, 1 }), heartbeat(t, 20, up, eth)}, unsettled},
		"what does not count": {[]store.State{up, heartbeat(t, 20, up), version("r1", event.TypeDeclared, 30, `{}`), version("r1/check/x", event.TypeSeen, 31, `{}`)}, equal},
		"another's counts":    {[]store.State{up, won(eth), won(heartbeat(t, 20, up, eth))}, different},
		"all count":           {[]store.State{won(up), won(eth), won(heartbeat(t, 20, up, eth))}, equal},
		"none counts":         {[]store.State{up, eth, heartbeat(t, 20, up, eth)}, equal},
		"no heartbeat":        {[]store.State{up, eth}, gone},
		"nothing":             {nil, gone},
		"no JSON":             {[]store.State{up, version("r1", event.TypeSeen, 20, `[]`)}, gone},
	} {
		if got, _ := compare("r1", tc.held); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// A store is equal exactly when it has the states that the poller counts, in whichever
// order it reads them.
func TestEqualMeansEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent, held []store.State
		lost := false
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			s := version(event.Entity("r1").Interface(fmt.Sprint(i)), event.TypeInterface, uint64(i+1), fmt.Sprintf(`{"mtu":%d}`, rapid.IntRange(0, 2).Draw(t, "mtu")))
			sent = append(sent, s)
			switch rapid.SampledFrom([]string{"held", "held", "held", "lost", "older"}).Draw(t, "how") {
			case "lost":
				lost = true
				continue
			case "older": // of the same entity, superseded
				lost = true
				s.Data = json.RawMessage(`{"mtu":99}`)
			}
			held = append(held, s)
		}
		held = append(held, heartbeat(t, 100, sent...))
		got, _ := compare("r1", rapid.Permutation(held).Draw(t, "order"))
		if want := map[bool]outcome{true: different, false: equal}[lost]; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

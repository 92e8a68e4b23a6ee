package jsonfields_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/internal/jsonfields"
)

type inner struct {
	A int       `json:"a"`
	T time.Time `json:"t,omitzero"`
}

type base struct {
	Base string `json:"base,omitempty"`
}

type value struct {
	base
	Name  string           `json:"name"`
	In    inner            `json:"in"`
	Maybe *inner           `json:"maybe,omitempty"`
	By    map[string]inner `json:"by,omitempty"`
	List  []inner          `json:"list,omitempty"`
	Raw   json.RawMessage  `json:"raw,omitempty"`
	Bytes []byte           `json:"bytes,omitempty"`
	local int
}

const newer = `{"name":"x","base":"b","in":{"a":1,"new":[1]},"maybe":{"a":2,"more":{}},"by":{"k":{"a":3,"n":true},"gone":{"a":4}},` +
	`"list":[{"a":5},{"a":6,"tag":"t"}],"raw":{"any":1},"bytes":"AQ==","top":"kept","local":7}`

func TestUnknown(t *testing.T) {
	want := []string{"by.k.n", "in.new", "list[1].tag", "local", "maybe.more", "top"}
	if d := cmp.Diff(want, jsonfields.Unknown([]byte(newer), value{})); d != "" {
		t.Error(d)
	}
	for _, odd := range []string{"", "null", "7", `"x"`, "[", `{"list":7}`} {
		if got := jsonfields.Unknown([]byte(odd), &value{}); len(got) != 0 {
			t.Errorf("%q: %v", odd, got)
		}
	}
}

func TestMarshalKeepsWhatItDoesNotKnow(t *testing.T) {
	var v value
	if err := json.Unmarshal([]byte(newer), &v); err != nil {
		t.Fatal(err)
	}
	v.Name, v.In.A = "y", 10
	v.Maybe = nil
	delete(v.By, "gone")
	v.local = 1
	data, err := jsonfields.Marshal([]byte(newer), v)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	_ = json.Unmarshal(data, &got)
	_ = json.Unmarshal([]byte(`{"name":"y","base":"b","in":{"a":10,"new":[1]},"by":{"k":{"a":3,"n":true}},"list":[{"a":5},{"a":6}],"raw":{"any":1},"bytes":"AQ==","top":"kept","local":7}`), &want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, odd := range []string{"", "null", "7", "["} {
		if data, err := jsonfields.Marshal([]byte(odd), inner{A: 1}); err != nil || string(data) != `{"a":1}` {
			t.Errorf("%q: %s, %v", odd, data, err)
		}
	}
}

// Where nothing is unknown, it is what json.Marshal gives, byte for byte.
func TestMarshalOfTheSameVersion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() value {
			return value{Name: rapid.String().Draw(t, "name"), In: inner{A: rapid.Int().Draw(t, "a")},
				By: map[string]inner{rapid.String().Draw(t, "key"): {A: 1}}, Bytes: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")}
		}
		was, _ := json.Marshal(draw())
		v := draw()
		want, _ := json.Marshal(v)
		if got, err := jsonfields.Marshal(was, v); err != nil || string(got) != string(want) {
			t.Fatalf("%s, %v; want %s", got, err, want)
		}
	})
}

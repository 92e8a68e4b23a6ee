package streams

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// Only the error "no message" means that a message does not exist: any other
// answer, or an empty one, says nothing about the message.
func TestOnlyNoMessageMeansNotThere(t *testing.T) {
	for _, x := range []struct {
		answer string
		absent bool
		code   jetstream.ErrorCode
	}{
		{`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`, true, 0},
		{`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`, false, CodeNoStream},
		{`{"error":{"code":500,"err_code":10118,"description":"stream is offline"}}`, false, CodeStreamOffline},
		{`{}`, false, 0},
		{`<html>`, false, 0},
	} {
		m, err := readMessage([]byte(x.answer))
		if m != nil || err == nil || errors.Is(err, ErrNoMessage) != x.absent {
			t.Errorf("%s: %+v, %v", x.answer, m, err)
		}
		var api *jetstream.APIError
		if x.code != 0 && (!errors.As(err, &api) || api.ErrorCode != x.code) {
			t.Errorf("%s: %v, want code %d", x.answer, err, x.code)
		}
	}
	m, err := readMessage([]byte(`{"message":{"subject":"state.syd.r1.x.v1","seq":7,"hdrs":"TkFUUy8xLjANCkE6IGINCg0K","data":"aGk=","time":"2026-03-01T08:00:00Z"}}`))
	if err != nil || m.Sequence != 7 || m.Header.Get("A") != "b" || string(m.Data) != "hi" || m.Subject != "state.syd.r1.x.v1" || m.Time.IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := readMessage([]byte(`{"message":{"seq":7,"hdrs":"AAAA"}}`)); err != nil || m.Header != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

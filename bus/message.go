package bus

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/fault"
	"midplane/subject"
)

// Message makes the NATS message with which producer p publishes e to the
// ingress. It leaves out the fields that only the ingress may set (producer,
// site, version, received).
func Message(p event.Producer, e *event.Event) *nats.Msg {
	in := subject.In{Producer: p, Kind: e.Kind, Severity: e.Severity, Entity: e.Entity, Type: e.Type}
	h := make(nats.Header, 10)
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	msgID := e.MsgID
	if msgID == "" && strings.HasPrefix(e.ID, string(p)+"/") {
		msgID = e.ID
	}
	set(event.HeaderMsgID, msgID)
	compact, layout := isCompact(p, e), time.RFC3339Nano
	if compact {
		layout = event.CompactTime
	} else {
		set(event.HeaderID, e.ID)
	}
	if !e.Time.IsZero() {
		set(event.HeaderTime, e.Time.UTC().Format(layout))
	}
	if e.Sequence > 0 {
		if !compact {
			set(event.HeaderEpoch, strconv.FormatInt(e.Epoch, 10))
			set(event.HeaderSequence, strconv.FormatUint(e.Sequence, 10))
		}
		set(event.HeaderLow, strconv.FormatUint(e.Low, 10))
	}
	if !compact || event.TraceSampled(e.TraceParent) {
		set(event.HeaderTraceParent, e.TraceParent)
		set(event.HeaderTraceState, e.TraceState)
	}
	return &nats.Msg{Subject: in.String(), Header: h, Data: e.Data}
}

// Parse reads a stored message as the ingress wrote it. subj is the subject that
// it is stored under. The error is Invalid; a message that came through the
// ingress gives none.
func Parse(subj string, h nats.Header, data []byte) (event.Event, error) {
	st, err := subject.ParseStored(subj)
	if err != nil {
		return event.Event{}, err
	}
	e := event.Event{
		Kind: st.Kind, Severity: st.Severity, Entity: st.Entity, Type: st.Type, Site: st.Site,
		Data: json.RawMessage(data),
	}
	get := func(name string) string {
		if v, ok := h[name]; ok && len(v) > 0 {
			return v[0]
		}
		for k, v := range h {
			if len(v) > 0 && strings.EqualFold(k, name) {
				return v[0]
			}
		}
		return ""
	}
	e.MsgID = get(event.HeaderMsgID)
	e.ID = get(event.HeaderID)
	e.Producer = event.Producer(get(event.HeaderProducer))
	if st.Kind == event.KindDead {
		e.Producer = st.Producer
	}
	e.Violation = get(event.HeaderViolation)
	e.TraceParent = get(event.HeaderTraceParent)
	e.TraceState = get(event.HeaderTraceState)
	for _, f := range []struct {
		name string
		into *time.Time
	}{{event.HeaderTime, &e.Time}, {event.HeaderReceived, &e.Received}} {
		if s := get(f.name); s != "" {
			if *f.into, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return e, fault.Wrap(fault.Invalid, err, "header %s of %s", f.name, subj)
			}
		}
	}
	if s := get(event.HeaderSchemaVersion); s != "" {
		if e.Version, err = strconv.Atoi(s); err != nil {
			return e, fault.Wrap(fault.Invalid, err, "header %s of %s", event.HeaderSchemaVersion, subj)
		}
	}
	if id, ok := event.ParseMessageID(e.MsgID); ok && e.Producer == "" && event.Compact(e.Type) {
		return e, expand(&e, id, get(event.HeaderLow))
	}
	return e, parseLedger(&e, get)
}

// parseLedger reads epoch, sequence and low; a message has all three or none.
func parseLedger(e *event.Event, get func(string) string) error {
	epoch, seq, low := get(event.HeaderEpoch), get(event.HeaderSequence), get(event.HeaderLow)
	if epoch == "" && seq == "" && low == "" {
		return nil
	}
	var err error
	if e.Epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil || e.Epoch < 1 {
		return fault.New(fault.Invalid, "%s %q is not a positive number", event.HeaderEpoch, epoch)
	}
	if e.Sequence, err = strconv.ParseUint(seq, 10, 63); err != nil || e.Sequence < 1 {
		return fault.New(fault.Invalid, "%s %q is not a positive number", event.HeaderSequence, seq)
	}
	return parseLow(e, low)
}

func parseLow(e *event.Event, low string) (err error) {
	if e.Low, err = strconv.ParseUint(low, 10, 63); err != nil || e.Low >= e.Sequence {
		return fault.New(fault.Invalid, "%s %q is not a number below %s", event.HeaderLow, low, event.HeaderSequence)
	}
	return nil
}

package forward

import (
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/schemas/catalog"
)

// onAnswer handles the answer to one try.
func (f *Forwarder) onAnswer(msg *nats.Msg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.flights[strings.TrimPrefix(msg.Subject, f.inbox)]
	if fl == nil {
		return // answered already
	}
	err := answer(msg, fl.e.Kind)
	now := time.Now()
	if fl.again != nil {
		delete(f.flights, fl.token)
		f.resends.answered(fl.again, msg, err, now, f.tel.Log)
		end(fl, err)
		return
	}
	switch fault.KindOf(err) {
	case "":
		if fl.sent.After(f.lastGood) {
			f.lastGood = fl.sent
		}
		delete(f.denied, fl.e.ID)
		f.pace.answered(now.Sub(fl.sent))
		f.out.Ack(&fl.e)
	case fault.Invalid:
		if _, ours := catalog.Set().Lookup(fl.e.Type); ours && bus.UnknownType(err) {
			f.onOlderDoor(fl, err)
			f.out.Postpone(&fl.e)
			break
		}
		f.refuse(fl, err)
	case fault.Denied:
		f.onDenied(fl, err, now)
	case fault.Exhausted:
		if wait := bus.RetryAfter(err); wait > 0 {
			f.pace.refused(now, fl.sent, wait, bus.LimitOf(err))
			f.out.Return(fl.e)
		} else {
			f.onFull(fl, err)
			f.out.Full(&fl.e)
		}
	default:
		f.later(fl, now)
		return
	}
	delete(f.flights, fl.token)
	end(fl, err)
}

// answer reads the answer to a message of kind k.
func answer(msg *nats.Msg, k event.Kind) error {
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		return fault.New(fault.Unavailable, "no ingress at this node")
	}
	ack, err := bus.ParseAck(msg.Data)
	if err == nil && ack.Stream != k.Stream() {
		err = fault.New(fault.Unavailable, "an answer names stream %q, not %s", ack.Stream, k.Stream())
	}
	return err
}

func end(fl *flight, err error) {
	if fl.span == nil {
		return
	}
	if err != nil {
		fl.span.SetStatus(codes.Error, err.Error())
	}
	fl.span.End()
}

// refuse gives a message up for good.
func (f *Forwarder) refuse(fl *flight, err error) {
	delete(f.denied, fl.e.ID)
	f.out.Refuse(&fl.e)
	f.report(string(fl.e.Type)+" is refused", err)
	if f.refused[fl.e.Type] {
		return
	}
	f.refused[fl.e.Type] = true
	f.tel.Log.Warn("the ingress refuses messages of this type; they are given up, with tombstones in the ledger",
		"type", string(fl.e.Type), "entity", string(fl.e.Entity), "refusal", err, "trace_id", fl.e.TraceID())
}

// onDenied decides whether it is the message or the poller that is denied: a
// message is given up only when others that were sent after its first denial
// were taken. A poller that is not known yet, or no longer,
// must not throw away what it has.
func (f *Forwarder) onDenied(fl *flight, err error, now time.Time) {
	first, again := f.denied[fl.e.ID]
	switch {
	case again && f.lastGood.After(first):
		f.refuse(fl, err)
		return
	case !again:
		f.denied[fl.e.ID] = now
	}
	f.onFull(fl, err)
	f.out.Postpone(&fl.e)
}

// onOlderDoor logs that a door does not know one of Midplane's own types: its node is
// of an older version, and the message waits in the outbox until that is replaced.
func (f *Forwarder) onOlderDoor(fl *flight, err error) {
	f.report(string(fl.e.Type)+" waits for newer nodes", err)
	if f.full.Due(string(fl.e.Type), time.Minute) {
		f.tel.Log.Warn("messages wait in the outbox until the nodes know their type", "type", string(fl.e.Type), "refusal", err, "hint", "upgrade the nodes; see: midplane upgrade status")
	}
}

// onFull logs that a stream takes nothing, not too often.
func (f *Forwarder) onFull(fl *flight, err error) {
	f.report(fl.e.Kind.Stream()+" takes nothing", err)
	if !f.full.Due(fl.e.Kind.Stream(), time.Minute) {
		return
	}
	f.tel.Log.Warn("messages wait in the outbox", slog.String("stream", fl.e.Kind.Stream()), slog.Any("refusal", err))
}

func (f *Forwarder) report(what string, err error) {
	f.trouble, f.troubleAt = what+": "+err.Error(), time.Now()
}

// Problem is what went wrong in the last minute, "" when nothing did.
func (f *Forwarder) Problem() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.troubleAt) > time.Minute {
		return ""
	}
	return f.trouble
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/subject"
	"midplane/tenants/account"
)

// noisyTenant measures one tenant's synchronous publishes while another keeps
// to its rate, and while it sends ten times as much and ignores every refusal:
// interleaved rounds on one cluster, everything on this machine, the noise too.
func noisyTenant(ctx context.Context, o options) (result, error) {
	const floor = 2.0
	w, err := newWorld(ctx, testcluster.Options{})
	if err != nil {
		return result{}, err
	}
	defer w.close()
	const rate = 2000 // messages a second that the other tenant may send
	spec, err := benchTenant("noisy", map[string]any{"storage": "8GiB", "messageRate": rate})
	if err != nil {
		return result{}, err
	}
	if err := w.cluster.Apply(ctx, spec, api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen); err != nil {
		return result{}, err
	}
	// A producer that is shut out in one phase must not be missing in another.
	var voices []voice
	for i := range 17 {
		name := fmt.Sprintf("noise-%d", i)
		creds, err := w.cluster.User(ctx, "noisy", account.RoleProducer, name)
		if err != nil {
			return result{}, err
		}
		voices = append(voices, voice{name, creds})
	}
	loud := order{Servers: w.cluster.Servers(), User: "noise", Subject: subject.InPrefix("noise") + "event.info.r%d." + eventType, MsgID: "noise/", Size: 256, Entities: 1000}
	count := min(o.count, 1500)
	r := result{floor: fmt.Sprintf("p99 ≤ %.1f × with the other tenant within its rate", floor)}
	phases := []phase{{"alone", 0, nil}, {"other at its rate", rate, voices[:8]}, {"at ten times", 10 * rate, voices[8:16]}, {"at ten times, one producer", 10 * rate, voices[16:]}}
	p50s, p99s := make([][]float64, len(phases)), make([][]float64, len(phases))
	for round := range o.rounds + 1 {
		var lat [][]float64
		line := fmt.Sprintf("round %d, p50/p99 in ms:", round)
		for i, ph := range phases {
			loud.Rate, loud.Voices = ph.rate, ph.voices
			l, did, err := w.beside(ctx, fmt.Sprintf("%d-%d", round, i), count, loud)
			if err != nil {
				return r, err
			}
			lat = append(lat, l)
			line += fmt.Sprintf(" %s %.2f/%.2f", ph.name, percentile(l, 50), percentile(l, 99))
			if s := did.Seconds; s > 0 {
				line += fmt.Sprintf(" (%.0f/s sent, %.0f/s accepted, %.0f/s refused, %d disconnects)", float64(did.Sent)/s, float64(did.Accepted)/s, float64(did.Refused)/s, did.Lost)
			}
			line += ";"
		}
		r.text = append(r.text, line)
		if round == 0 {
			continue // warms files and caches
		}
		for i := range phases {
			p50s[i] = append(p50s[i], percentile(lat[i], 50)/percentile(lat[1], 50))
			p99s[i] = append(p99s[i], percentile(lat[i], 99)/percentile(lat[1], 99))
		}
	}
	r.ok = true
	for i, ph := range phases {
		if i == 1 {
			continue
		}
		r.text = append(r.text, fmt.Sprintf("%s ÷ %s: p50 %s, p99 %s", ph.name, phases[1].name, spread(p50s[i], "%.2f"), spread(p99s[i], "%.2f")))
		if ph.rate > rate {
			r.got += fmt.Sprintf("p99 %.2f × %s, ", median(p99s[i]), ph.name)
			r.ok = r.ok && median(p99s[i]) <= floor
		}
	}
	r.got = strings.TrimSuffix(r.got, ", ")
	return r, nil
}

// phase is what the other tenant does at the same time.
type phase struct {
	name   string
	rate   int
	voices []voice
}

// beside publishes one message at a time as acme while another tenant makes
// its noise, and returns the latencies in milliseconds.
func (w *world) beside(ctx context.Context, name string, count int, loud order) ([]float64, report, error) {
	var did report
	var n *noise
	if loud.Rate > 0 {
		var err error
		if n, err = startNoise(ctx, loud); err != nil {
			return nil, did, err
		}
		time.Sleep(time.Second) // the first burst is over
	}
	rep, err := produce(ctx, w.through(name, 256, count, 1))
	if n != nil {
		var nerr error
		if did, nerr = n.stop(); err == nil {
			err = nerr
		}
	}
	return rep.Latencies, did, err
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
)

// failover kills −9 the node that leads EVENTS, five times, under a producer
// that retries with the same ids, and then compares what the primary holds with
// what was acknowledged.
func failover(ctx context.Context, o options) (result, error) {
	r := result{floor: "gap: median ≤ 10 s, none above 20 s; 0 lost, 0 doubled, 0 out of order"}
	limit, d, p, stop, err := underWay(ctx)
	if err != nil {
		return r, err
	}
	defer stop()
	pctx, finish := context.WithCancel(limit)
	done := make(chan struct{})
	go func() { defer close(done); p.run(pctx) }()
	var gaps []float64
	for round := range o.rounds {
		gap, leader, err := killLeader(limit, d, p)
		if err != nil {
			finish()
			<-done
			return r, err
		}
		gaps = append(gaps, gap.Seconds())
		r.text = append(r.text, fmt.Sprintf("round %d: killed %s, publish gap %.1f s", round+1, leader, gap.Seconds()))
	}
	finish()
	<-done
	lost, doubled, disorder, err := p.compare(limit, d)
	if err != nil {
		return r, err
	}
	worst := sorted(gaps)[len(gaps)-1]
	r.text = append(r.text, fmt.Sprintf("publish gap %s s; %d acknowledged, %d lost, %d doubled in the primary, %d out of order",
		spread(gaps, "%.1f"), len(p.acked), lost, doubled, disorder))
	r.got = fmt.Sprintf("median %.1f s, worst %.1f s, %d acknowledged, %d lost, %d doubled, %d out of order", median(gaps), worst, len(p.acked), lost, doubled, disorder)
	r.ok = median(gaps) <= 10 && worst <= 20 && lost+doubled+disorder == 0
	return r, nil
}

// underWay starts a deployment of processes with a producer, for ten minutes at most.
func underWay(ctx context.Context) (limit context.Context, d *testcluster.Deployment, p *steady, stop func(), err error) {
	m, end, err := machine(ctx)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	limit, cancel := context.WithTimeout(ctx, 10*time.Minute)
	leave := func() { cancel(); end() }
	if d, err = testcluster.NewDeployment(ctx, m); err == nil {
		if err = d.Up(limit); err != nil {
			err = fmt.Errorf("%w\n%s", err, m.Log("n1"))
		}
	}
	if err == nil {
		p, err = onboardProducer(limit, d)
	}
	if err != nil {
		leave()
		return nil, nil, nil, nil, err
	}
	return limit, d, p, func() { p.nc.Close(); leave() }, nil
}

// onboardProducer applies a tenant and connects a producer.
func onboardProducer(ctx context.Context, d *testcluster.Deployment) (*steady, error) {
	file := filepath.Join(d.Dir, "acme.yaml")
	text := "apiVersion: midplane/v1\nkind: Tenant\nid: acme\nname: Acme\nquota: {messageRate: 100000}\nsites:\n  - {id: syd, name: Sydney, pollers: [{id: syd-01}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if _, err := d.Run(ctx, "apply", "-f", file); err != nil {
		return nil, err
	}
	creds := filepath.Join(d.Dir, "bench.creds")
	if _, err := d.Run(ctx, "user", "create", "--tenant", "acme", "--role", "producer", benchUser, "--out", creds); err != nil {
		return nil, err
	}
	return newSteady(d.Servers, creds, d.CA())
}

// killLeader kills the node that leads EVENTS, measures how long nothing is
// acknowledged, starts the node again and waits until every replica is current.
func killLeader(ctx context.Context, d *testcluster.Deployment, p *steady) (time.Duration, string, error) {
	leader, err := leaderOf(ctx, d)
	if err != nil {
		return 0, "", err
	}
	before := p.count()
	if err := p.progress(ctx, before+50); err != nil {
		return 0, "", err
	}
	p.resetGap()
	d.Kill(leader)
	if err := p.progress(ctx, p.count()+200); err != nil {
		return 0, leader, err
	}
	gap := p.gap()
	if _, err := d.StartNode(leader); err != nil {
		return 0, leader, err
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return gap, leader, d.Await(limit, func(ctx context.Context) error { return allCurrent(ctx, d) })
}

func eventsStream(ctx context.Context, d *testcluster.Deployment) (api.Stream, error) {
	var rows []api.Stream
	if err := d.Get(ctx, &rows, "streams", "--tenant", "acme"); err != nil {
		return api.Stream{}, err
	}
	for _, s := range rows {
		if s.ID == "EVENTS" {
			return s, nil
		}
	}
	return api.Stream{}, fmt.Errorf("EVENTS is not listed")
}

func leaderOf(ctx context.Context, d *testcluster.Deployment) (leader string, err error) {
	err = d.Await(ctx, func(ctx context.Context) error {
		s, err := eventsStream(ctx, d)
		if err == nil && s.Leader == "" {
			err = fmt.Errorf("EVENTS has no leader")
		}
		leader = s.Leader
		return err
	})
	return leader, err
}

func allCurrent(ctx context.Context, d *testcluster.Deployment) error {
	s, err := eventsStream(ctx, d)
	if err != nil {
		return err
	}
	if s.Leader == "" || len(s.Replicas) != 2 || strings.Contains(strings.Join(s.Replicas, ""), "(") {
		return fmt.Errorf("EVENTS: leader %q, replicas %v", s.Leader, s.Replicas)
	}
	return nil
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// pollerProcess is a poller in a process of its own.
type pollerProcess struct {
	subprocess
	done chan struct{} // all of its output was read
	dir  string

	mu      sync.Mutex
	samples []pollerSample
	broken  error
}

// communityVar is where the pollers find the devices' community.
const communityVar = "BENCH_COMMUNITY"

func startPoller(ctx context.Context, o watchOrder) (*pollerProcess, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	sub, err := startSub(ctx, pollerArg, o, communityVar+"=simulated")
	if err != nil {
		return nil, err
	}
	p := &pollerProcess{subprocess: sub, done: make(chan struct{}), dir: o.Dir}
	go p.read(sub.out)
	return p, nil
}

// read takes the samples in.
func (p *pollerProcess) read(out io.Reader) {
	defer close(p.done)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var s pollerSample
		err := json.Unmarshal(lines.Bytes(), &s)
		p.mu.Lock()
		p.samples, p.broken = append(p.samples, s), errors.Join(p.broken, err)
		p.mu.Unlock()
	}
}

// last is the newest sample; false when there is none younger than a while.
func (p *pollerProcess) last() (pollerSample, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.samples); n > 0 && time.Since(p.samples[n-1].At) < 20*sampleEvery {
		return p.samples[n-1], true
	}
	return pollerSample{}, false
}

// at is the newest sample that is not after a moment.
func (p *pollerProcess) at(moment time.Time) (s pollerSample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.samples {
		if x.At.After(moment) {
			break
		}
		s = x
	}
	return s
}

// stop ends the poller, which waits for its last answers, and returns what went
// wrong with it.
func (p *pollerProcess) stop() error {
	_ = p.in.Close() // it may have ended
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill() // it may end at this moment
		<-p.done
	}
	if err := errors.Join(p.cmd.Wait(), p.broken); err != nil {
		return fmt.Errorf("poller: %w; its log is\n%s", err, p.log())
	}
	return nil
}

// log is the end of what the poller logged.
func (p *pollerProcess) log() string {
	data, err := os.ReadFile(filepath.Join(p.dir, "poller.log"))
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-4000):])
}

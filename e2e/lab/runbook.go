package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"midplane/internal/testcluster"
	"midplane/platform/deployment"
)

// The folder of the pages, and those whose commands the rows run: each block of
// commands of these is run by some row.
const runbooks = "../../docs/runbooks/"

var pages = []string{"node-replace", "two-lost", "halted-stream", "disk-full", "replica-diverged", "restored-copy", "primary-lost", "upgrade"}

// Page carries out a block of commands of a runbook, line by line as the page prints
// them. NAME is the node that is meant, and every node in turn with All; the folders
// of the systemd units are those of the laboratory, and it does what systemctl is
// asked for.
type Page struct {
	Name  string
	Block int // of its commands, from 1
	Who   Who
}

// Do carries out.
func (f Page) Do(ctx context.Context, w *World) error {
	lines, err := f.lines()
	if err != nil {
		return err
	}
	return w.each(ctx, f.Who, fmt.Sprintf("%s, commands %d, for", f.Name, f.Block), func(n string) error {
		for _, line := range lines {
			if err := carryOut(ctx, w, n, line); err != nil {
				return fmt.Errorf("%s: %s: %w", f.Name, line, err)
			}
		}
		return nil
	})
}

// lines returns the commands of the block.
func (f Page) lines() ([]string, error) {
	blocks, err := commands(f.Name)
	if err != nil {
		return nil, err
	}
	if f.Block < 1 || f.Block > len(blocks) {
		return nil, fmt.Errorf("%s has no block of commands %d", f.Name, f.Block)
	}
	return blocks[f.Block-1], nil
}

// commands returns the blocks of commands of a page.
func commands(page string) (blocks [][]string, err error) {
	data, err := os.ReadFile(runbooks + page + ".md")
	if err != nil {
		return nil, err
	}
	within := false
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case !within && line == "```sh":
			within, blocks = true, append(blocks, nil)
		case within && line == "```":
			within = false
		case within && line != "":
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], line)
		}
	}
	return blocks, nil
}

// carryOut carries out one line.
func carryOut(ctx context.Context, w *World, node, line string) error {
	line = local(w, node, line)
	word := strings.Fields(line)
	if word[0] != "systemctl" {
		if stays(line) {
			_, err := w.sys.StartShell(operator, line)
			return err
		}
		out, err := w.sys.Shell(ctx, line)
		w.said = append(w.said, string(out))
		return err
	}
	name := strings.TrimPrefix(strings.TrimPrefix(word[2], "midplane-"), "node@")
	switch word[1] {
	case "stop":
		w.sys.Stop(name)
		return nil
	case "start":
		if name == primary {
			_, err := w.sys.StartPrimary(w.primaryFlags...)
			return err
		}
		return w.startNode(name)
	}
	return fmt.Errorf("the laboratory does not know this command")
}

// operator is the process of a command that stays with its operator.
const operator = "operator"

// stays says which commands stay while the operator carries out what they ask for.
func stays(line string) bool { return strings.HasPrefix(line, "midplane node replace") }

// local puts the laboratory's names and folders into a line.
func local(w *World, node, line string) string {
	pairs := []string{
		"/etc/midplane/nodes/", filepath.Dir(deployment.NodeDir(w.sys.Folder, node)) + "/",
		"/var/lib/midplane/nodes/", filepath.Join(w.sys.Dir, "data-"),
		"/var/lib/midplane/primary", filepath.Join(w.sys.Dir, "data-"+primary),
		"TENANT", tenant, "STREAM", "EVENTS", "NAME", node, "ACCOUNT", w.account,
	}
	return strings.NewReplacer(pairs...).Replace(line)
}

// asksWithin is how long a command may take to say what is next.
const asksWithin = 90 * time.Second

// Asks waits until the command that stays with its operator says something.
type Asks string

// Do waits.
func (f Asks) Do(ctx context.Context, w *World) error {
	ctx, cancel := context.WithTimeout(ctx, asksWithin)
	defer cancel()
	if err := w.sys.Await(ctx, func(context.Context) error {
		if log := w.sys.Log(operator); !strings.Contains(log, string(f)) {
			return fmt.Errorf("it says: %s", log)
		}
		return nil
	}); err != nil {
		return err
	}
	w.note("it says: %s", f)
	return nil
}

// Ends waits until the command that stays with its operator has ended, and well.
type Ends struct{}

// Do waits.
func (Ends) Do(ctx context.Context, w *World) error {
	if err := w.sys.Process(operator).Wait(ctx); err != nil {
		return fmt.Errorf("%w: %s", err, w.sys.Log(operator))
	}
	w.note("it has ended: %s", w.sys.Log(operator))
	return nil
}

// Away waits until status knows that the victim is away, and that the others are not: an
// election makes them look so for a moment, and then nothing is replaced.
type Away struct{}

// Do waits.
func (Away) Do(ctx context.Context, w *World) error {
	ctx, cancel := context.WithTimeout(ctx, asksWithin)
	defer cancel()
	err := w.sys.Await(ctx, func(ctx context.Context) error {
		s, err := testcluster.StatusOf(ctx, w.sys.Machine)
		if err != nil {
			return err
		}
		for _, n := range s.Cluster.Nodes {
			if n.Live == (n.ID == w.victim) {
				return fmt.Errorf("node %s is live: %v", n.ID, n.Live)
			}
		}
		return nil
	})
	if err == nil {
		w.note("status knows that %s alone is away", w.victim)
	}
	return err
}

// Shows waits until a command of Midplane prints something, whether it succeeds or not.
type Shows struct {
	Args string
	Text string
}

// Do waits.
func (f Shows) Do(ctx context.Context, w *World) error {
	ctx, cancel := context.WithTimeout(ctx, asksWithin)
	defer cancel()
	err := w.sys.Await(ctx, func(ctx context.Context) error {
		if out, err := w.sys.Run(ctx, strings.Fields(f.Args)...); !strings.Contains(string(out), f.Text) {
			return fmt.Errorf("midplane %s does not show %q: %w: %s", f.Args, f.Text, err, out)
		}
		return nil
	})
	if err == nil {
		w.note("midplane %s shows: %s", f.Args, f.Text)
	}
	return err
}

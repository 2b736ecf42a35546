package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/node"
)

const (
	followInterval = 100 * time.Millisecond
	// maxFailures is the number of failures of a component after which `up` fails.
	maxFailures = 4
	// reminderInterval is the time without news after which `up` prints the components that are not ready.
	reminderInterval = 15 * time.Second
)

// follower records the readiness and the failures of the components.
type follower struct {
	i        *instance.Instance
	p        *progress
	ready    map[string]bool
	failures map[string]int
	lastNews time.Time
}

// follow prints each component that becomes ready. It returns when all are ready, or with an error when one keeps failing.
func follow(ctx context.Context, i *instance.Instance, s started, p *progress) error {
	f := &follower{i: i, p: p, ready: map[string]bool{}, failures: map[string]int{}, lastNews: time.Now()}
	for first := true; ; first = false {
		var pending []string
		for n := 1; n <= instance.Nodes; n++ {
			silent := first && s.ended[n] == nil // do not print the components of a node that ran before
			waiting, err := f.checkNode(n, silent)
			if err != nil {
				return err
			}
			pending = append(pending, waiting...)
		}
		if len(pending) == 0 {
			return nil
		}
		f.remind(pending)
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %s; see the logs in %s: %w", strings.Join(pending, ", "), i.Logs(), context.Cause(ctx))
		case <-time.After(followInterval):
		}
	}
}

// checkNode reads a node's status and returns the components that are not ready.
func (f *follower) checkNode(n int, silent bool) ([]string, error) {
	all, err := node.ReadStatus(f.i, n)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return []string{f.i.NodeName(n)}, nil
	}
	var pending []string
	for _, s := range all {
		name := f.i.NodeName(n) + " " + s.Name
		if silent {
			f.failures[name] = s.Failures // failures before this command do not count
		}
		if s.Failures-f.failures[name] >= maxFailures {
			log := componentLog(f.i, n, s.Name)
			return nil, fmt.Errorf("%s failed %d times, the last time with %s; the end of %s:\n%s", name, s.Failures, s.LastEnd, log, tail(log))
		}
		if s.State != node.Ready {
			pending = append(pending, name)
			continue
		}
		if !f.ready[name] && !silent {
			f.p.printf("%s ready", name)
			f.lastNews = time.Now()
		}
		f.ready[name] = true
	}
	return pending, nil
}

func (f *follower) remind(pending []string) {
	if time.Since(f.lastNews) > reminderInterval {
		f.p.printf("still waiting for %s", strings.Join(pending, ", "))
		f.lastNews = time.Now()
	}
}

func componentLog(i *instance.Instance, n int, component string) string {
	return filepath.Join(i.Logs(), fmt.Sprintf("node%d-%s.log", n, component))
}

// tail returns the last lines of a log, shortened for a terminal.
func tail(file string) string {
	const size, count, width = 16 << 10, 12, 400
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > size {
		_, _ = f.Seek(-size, io.SeekEnd)
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	lines = lines[max(0, len(lines)-count):]
	for n, line := range lines {
		if len(line) > width {
			lines[n] = line[:width] + " ..."
		}
	}
	return strings.Join(lines, "\n")
}

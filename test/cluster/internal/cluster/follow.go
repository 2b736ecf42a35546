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
	// giveUpAfter failures it is not bad luck any more.
	giveUpAfter = 4
	// remindAfter so long without news, `up` says what it waits for.
	remindAfter = 15 * time.Second
)

// follower knows what was seen of the components.
type follower struct {
	i        *instance.Instance
	p        *progress
	ready    map[string]bool
	failures map[string]int
	lastNews time.Time
}

// follow prints each component that becomes ready, and returns when all of them are or one cannot be.
func follow(ctx context.Context, i *instance.Instance, s started, p *progress) error {
	f := &follower{i: i, p: p, ready: map[string]bool{}, failures: map[string]int{}, lastNews: time.Now()}
	for first := true; ; first = false {
		var pending []string
		for n := 1; n <= instance.Nodes; n++ {
			silent := first && s.ended[n] == nil // what ran before is no news
			waiting, err := f.look(n, silent)
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

// look reads one node's status and returns what is not ready.
func (f *follower) look(n int, silent bool) ([]string, error) {
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
			f.failures[name] = s.Failures // those from before this command do not count
		}
		if s.Failures-f.failures[name] >= giveUpAfter {
			log := componentLog(f.i, n, s.Name)
			return nil, fmt.Errorf("%s ended %d times, last with %s; the end of %s:\n%s", name, s.Failures, s.LastEnd, log, tail(log))
		}
		if s.State != node.Ready {
			pending = append(pending, name)
			continue
		}
		if !f.ready[name] && !silent {
			f.p.say("%s ready", name)
			f.lastNews = time.Now()
		}
		f.ready[name] = true
	}
	return pending, nil
}

func (f *follower) remind(pending []string) {
	if time.Since(f.lastNews) > remindAfter {
		f.p.say("still waiting for %s", strings.Join(pending, ", "))
		f.lastNews = time.Now()
	}
}

func componentLog(i *instance.Instance, n int, component string) string {
	return filepath.Join(i.Logs(), fmt.Sprintf("node%d-%s.log", n, component))
}

// tail is the end of a log, in a form for the screen.
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

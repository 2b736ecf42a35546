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
	// giveUpAfter failures in a row it is not bad luck any more.
	giveUpAfter = 4
)

// follow prints each component that becomes ready, and returns when all of them are or one cannot be.
func follow(ctx context.Context, i *instance.Instance, s started, p *progress) error {
	seen := map[string]bool{}
	for first := true; ; first = false {
		var pending []string
		for n := 1; n <= instance.Nodes; n++ {
			select {
			case <-s.ended[n]: // never for a node that ran before
				log := node.SupervisorLog(i, n)
				return fmt.Errorf("the supervisor of %s has ended; the end of %s:\n%s", i.NodeName(n), log, tail(log))
			default:
			}
			report := p.say
			if s.ended[n] == nil && first {
				report = func(string, ...any) {} // no news
			}
			waiting, err := look(i, n, seen, report)
			if err != nil {
				return err
			}
			pending = append(pending, waiting...)
		}
		if len(pending) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %s; see the logs in %s: %w", strings.Join(pending, ", "), i.Logs(), context.Cause(ctx))
		case <-time.After(followInterval):
		}
	}
}

// look reads one node's status and returns what is not ready.
func look(i *instance.Instance, n int, seen map[string]bool, report func(string, ...any)) ([]string, error) {
	all, err := node.ReadStatus(i, n)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return []string{i.NodeName(n)}, nil
	}
	var pending []string
	for _, s := range all {
		name := i.NodeName(n) + " " + s.Name
		if s.Failures >= giveUpAfter {
			log := componentLog(i, n, s.Name)
			return nil, fmt.Errorf("%s ended %d times, last with %s; the end of %s:\n%s", name, s.Failures, s.LastEnd, log, tail(log))
		}
		if s.State != node.Ready {
			pending = append(pending, name)
		} else if !seen[name] {
			seen[name] = true
			report("%s ready", name)
		}
	}
	return pending, nil
}

func componentLog(i *instance.Instance, n int, component string) string {
	return filepath.Join(i.Logs(), fmt.Sprintf("node%d-%s.log", n, component))
}

// tail is the end of a log.
func tail(file string) string {
	const size, count = 8 << 10, 12
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
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

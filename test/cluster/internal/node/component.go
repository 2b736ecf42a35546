package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// component is one process of a node, kept running.
type component struct {
	name string
	argv []string
	// needs are ready before it is started.
	needs []probe
	// ready says when others may rely on it.
	ready probe
}

const (
	// stopGrace is what a component gets between SIGTERM and SIGKILL. The kernel keeps what etcd has written when
	// etcd is killed, so this only lets components close their connections.
	stopGrace = 3 * time.Second
	// A component that keeps failing is started again after 1, 2, 4 and then every 8 seconds.
	minBackoff, maxBackoff = time.Second, 8 * time.Second
)

// runner keeps components running.
type runner struct {
	children *children
	board    *board
	logs     string
	env      []string
	prefix   string
}

// keep runs a component until the context ends, and returns when its process has ended.
func (r *runner) keep(ctx context.Context, c component) {
	log, err := openLog(filepath.Join(r.logs, r.prefix+c.name+".log"))
	if err != nil {
		slog.Error("opening a log", "component", c.name, "error", err)
		return
	}
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		for _, need := range c.needs {
			if await(ctx, need) != nil {
				return
			}
		}
		began := time.Now()
		end := r.runOnce(ctx, c, log)
		if ctx.Err() != nil {
			return
		}
		slog.Warn("component ended", "component", c.name, "end", end)
		r.board.change(c.name, func(s *Status) { s.State, s.Failures, s.LastEnd = Waiting, s.Failures+1, end })
		if time.Since(began) > 10*maxBackoff {
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
	}
}

// runOnce starts the process, watches for its readiness and tells how it ended.
func (r *runner) runOnce(ctx context.Context, c component, log io.Writer) string {
	output, err := pipe(log)
	if err != nil {
		return err.Error()
	}
	pid, ended, err := r.children.start(c.argv, r.env, output)
	_ = output.Close() // the child has its own
	if err != nil {
		return err.Error()
	}
	slog.Info("component started", "component", c.name)
	r.board.change(c.name, func(s *Status) { s.State = Starting })
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() {
		if await(watching, c.ready) == nil && watching.Err() == nil {
			r.board.change(c.name, func(s *Status) { s.State, s.Failures = Ready, 0 })
		}
	}()
	select {
	case status := <-ended:
		return describe(status)
	case <-ctx.Done():
		return stop(pid, ended)
	}
}

// stop ends a process's group, kindly first.
func stop(pid int, ended <-chan syscall.WaitStatus) string {
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case status := <-ended:
		return describe(status)
	case <-time.After(stopGrace):
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		return describe(<-ended)
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("killed by %s", status.Signal())
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}

// pipe copies what a process writes into a log.
func pipe(log io.Writer) (*os.File, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _ = from.Close() }()
		_, _ = io.Copy(log, from) // ends with the last process that holds the other end
	}()
	return to, nil
}

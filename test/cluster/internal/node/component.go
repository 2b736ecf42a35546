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

// component is a process that a node always runs.
type component struct {
	name string
	argv []string
	// needs must succeed before the component is started.
	needs []probe
	// ready succeeds when other components can use this one.
	ready probe
}

const (
	// stopGrace is the time between SIGTERM and SIGKILL, in which a component can close its connections. A killed etcd loses no data:
	// the kernel has its writes.
	stopGrace = 3 * time.Second
	// minBackoff and maxBackoff bound the delay before a failed component is started again: 1, 2, 4 and then every 8 seconds.
	minBackoff, maxBackoff = time.Second, 8 * time.Second
)

// runner starts components and restarts them when they exit.
type runner struct {
	children *children
	status   *statusWriter
	logs     string
	env      []string
	prefix   string
}

// keepRunning runs a component until the context is done, and returns when its process has exited.
func (r *runner) keepRunning(ctx context.Context, c component) {
	log, err := openLog(filepath.Join(r.logs, r.prefix+c.name+".log"))
	if err != nil {
		slog.Error("cannot open the log", "component", c.name, "error", err)
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
		r.status.update(c.name, func(s *Status) { s.State, s.Failures, s.LastEnd = Waiting, s.Failures+1, end })
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

// runOnce starts the process, waits for its readiness and returns a description of its exit status.
func (r *runner) runOnce(ctx context.Context, c component, log io.Writer) string {
	output, err := pipe(log)
	if err != nil {
		return err.Error()
	}
	pid, ended, err := r.children.start(c.argv, r.env, output)
	_ = output.Close() // the child has its own descriptor
	if err != nil {
		return err.Error()
	}
	slog.Info("component started", "component", c.name)
	r.status.update(c.name, func(s *Status) { s.State = Starting })
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() {
		if await(watching, c.ready) == nil && watching.Err() == nil {
			r.status.update(c.name, func(s *Status) { s.State, s.Failures = Ready, 0 })
		}
	}()
	select {
	case status := <-ended:
		return describe(status)
	case <-ctx.Done():
		return stop(pid, ended)
	}
}

// stop ends a process group with SIGTERM, and after stopGrace with SIGKILL.
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

// pipe returns a file for the output of a process and copies this output to the log.
func pipe(log io.Writer) (*os.File, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _ = from.Close() }()
		_, _ = io.Copy(log, from) // returns when the last process with the other end has exited
	}()
	return to, nil
}

// Package cluster holds what the commands do.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/binaries"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/config"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/machine"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/network"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/node"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/pki"
)

// startTimeout bounds the time from the nodes' start on. It is met in 13 s on two idle cores; a machine that builds something beside it is
// several times slower.
const startTimeout = 4 * time.Minute

// Up makes the instance, or finishes or restarts what is there of it. On one that runs it only looks.
func Up(ctx context.Context, name string) error {
	if err := machine.CheckRoot(); err != nil {
		return err
	}
	unlock, err := instance.Lock(ctx, instance.Dir(name))
	if err != nil {
		return err
	}
	defer unlock()
	p := newProgress(name)
	i, err := instance.Open(name)
	if errors.Is(err, instance.ErrAbsent) {
		i, err = instance.Create(ctx, name)
	}
	if err != nil {
		return err
	}
	err = bringUp(ctx, i, p)
	if errors.Is(err, errStopped) {
		p.say("a node ended just now: starting it again")
		err = bringUp(ctx, i, p)
	}
	if err != nil {
		return err
	}
	p.say("up: %d nodes, API server at %s", instance.Nodes, i.APIServer())
	return nil
}

// errStopped says that a node which ran when the command began has ended meanwhile. It happens when someone has killed
// it a moment before: it takes some milliseconds to die.
var errStopped = errors.New("node has ended")

func bringUp(ctx context.Context, i *instance.Instance, p *progress) error {
	s, err := start(ctx, i, p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout) // only now: building the binaries takes longer
	defer cancel()
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	go func() { abort(awaitEnd(ctx, i, s)) }()
	loaded := make(chan error, 1)
	go func() { loaded <- loadOwn(ctx, i) }()
	err = follow(ctx, i, s, p)
	if err == nil {
		err = <-loaded
	}
	if err == nil {
		err = install(ctx, i, s, p)
	}
	if err == nil {
		return nil
	}
	select { // the reason may show a moment after what it has broken
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// awaitEnd returns when a node has ended, and says why if it was this command that had started it.
func awaitEnd(ctx context.Context, i *instance.Instance, s started) error {
	for {
		for n := 1; n <= instance.Nodes; n++ {
			select {
			case <-s.ended[n]: // never for a node that ran before
				log := node.SupervisorLog(i, n)
				return fmt.Errorf("the supervisor of %s has ended; the end of %s:\n%s", i.NodeName(n), log, tail(log))
			default:
			}
			if s.ended[n] != nil {
				continue
			}
			if pid, err := node.Supervisor(i.Dir(), n); err != nil || pid == 0 {
				return errors.Join(fmt.Errorf("%s: %w", i.NodeName(n), errStopped), err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followInterval):
		}
	}
}

// started are the nodes that this command has started: when, and a channel that closes with their supervisor's end.
type started struct {
	at    time.Time
	ended map[int]<-chan struct{}
}

// start starts what does not run.
func start(ctx context.Context, i *instance.Instance, p *progress) (started, error) {
	s := started{ended: map[int]<-chan struct{}{}}
	stopped, err := stoppedNodes(i)
	if err != nil || len(stopped) == 0 {
		return s, err
	}
	if err := prepare(ctx, i, len(stopped) == instance.Nodes); err != nil {
		return s, err
	}
	p.say("network ready")
	s.at = time.Now()
	for _, n := range stopped {
		if s.ended[n], err = node.Start(i, n); err != nil {
			return s, err
		}
		p.say("%s started", i.NodeName(n))
	}
	return s, nil
}

// prepare makes what nodes need. Binaries change only when no node runs, so that both run the same.
func prepare(ctx context.Context, i *instance.Instance, mayChange bool) error {
	if err := machine.CheckRun(ctx, i.Dir()); err != nil {
		return err
	}
	if mayChange {
		binDir, err := binaries.Ensure(ctx)
		if err != nil {
			return err
		}
		i.BinDir = binDir
		if err := i.Save(); err != nil {
			return err
		}
	}
	plugins, err := machine.CNIPlugins()
	if err != nil {
		return err
	}
	if err := pki.Ensure(i); err != nil {
		return err
	}
	if err := config.Write(i, plugins); err != nil {
		return err
	}
	return network.Ensure(ctx, i)
}

func stoppedNodes(i *instance.Instance) ([]int, error) {
	var stopped []int
	for n := 1; n <= instance.Nodes; n++ {
		pid, err := node.Supervisor(i.Dir(), n)
		if err != nil {
			return nil, err
		}
		if pid == 0 {
			stopped = append(stopped, n)
		}
	}
	return stopped, nil
}

// progress prints lines with the time since the command began.
type progress struct {
	name  string
	began time.Time
}

func newProgress(name string) *progress { return &progress{name: name, began: time.Now()} }

func (p *progress) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster %s %5.1fs  %s\n", p.name, time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

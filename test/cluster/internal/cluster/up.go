// Package cluster implements the commands.
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

// startTimeout bounds the time from the start of the nodes until the cluster is ready. That takes 13 s on two idle cores, and several times as
// long during a build.
const startTimeout = 4 * time.Minute

// Up creates the instance, completes an incomplete one, and starts its stopped nodes. If all nodes run, it only checks them.
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
		p.printf("a node has just stopped: starting it again")
		err = bringUp(ctx, i, p)
	}
	if err != nil {
		return err
	}
	p.printf("up: %d nodes, API server at %s", instance.Nodes, i.APIServer())
	return nil
}

// errStopped is returned if a node ran when the command began and has stopped meanwhile. This happens if the node was killed just before the
// command: its processes take some milliseconds to exit.
var errStopped = errors.New("node has stopped")

func bringUp(ctx context.Context, i *instance.Instance, p *progress) error {
	s, err := start(ctx, i, p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout) // not before start, which may build the binaries
	defer cancel()
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	go func() { abort(awaitEnd(ctx, i, s)) }()
	loaded := make(chan error, 1)
	go func() { loaded <- loadClusterImages(ctx, i) }()
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
	select { // awaitEnd may report the cause a moment after its effect
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// awaitEnd returns an error when a node has stopped. If this command had started the node, the error has the end of its log.
func awaitEnd(ctx context.Context, i *instance.Instance, s started) error {
	for {
		for n := 1; n <= instance.Nodes; n++ {
			select {
			case <-s.ended[n]: // nil for a node that ran before
				log := node.SupervisorLog(i, n)
				return fmt.Errorf("the supervisor of %s has exited; the end of %s:\n%s", i.NodeName(n), log, tail(log))
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

// started has the time at which this command started nodes and, for each of them, a channel that is closed when its supervisor exits.
type started struct {
	at    time.Time
	ended map[int]<-chan struct{}
}

// start starts the nodes that do not run.
func start(ctx context.Context, i *instance.Instance, p *progress) (started, error) {
	s := started{ended: map[int]<-chan struct{}{}}
	stopped, err := stoppedNodes(i)
	if err != nil || len(stopped) == 0 {
		return s, err
	}
	if err := prepare(ctx, i, len(stopped) == instance.Nodes); err != nil {
		return s, err
	}
	p.printf("network ready")
	s.at = time.Now()
	for _, n := range stopped {
		if s.ended[n], err = node.Start(i, n); err != nil {
			return s, err
		}
		p.printf("%s started", i.NodeName(n))
	}
	return s, nil
}

// prepare creates certificates, configuration and network. It updates the binaries only if no node runs, so that both nodes run the same
// binaries.
func prepare(ctx context.Context, i *instance.Instance, updateBinaries bool) error {
	if err := machine.CheckRun(ctx, i.Dir()); err != nil {
		return err
	}
	if updateBinaries {
		binDir, err := binaries.Ensure(ctx, binaries.Current)
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

// progress prints messages with the time since the command began.
type progress struct {
	name  string
	began time.Time
}

func newProgress(name string) *progress { return &progress{name: name, began: time.Now()} }

func (p *progress) printf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster %s %5.1fs  %s\n", p.name, time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

// Package cluster holds what the commands do.
package cluster

import (
	"context"
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

// startTimeout bounds the start of all components, and again that of the nodes and the DNS. It is met in 15 s on two
// idle cores; a machine that builds something beside it is several times slower.
const startTimeout = 4 * time.Minute

// Up makes the instance, or finishes or restarts what is there of it. On one that runs it only looks.
func Up(ctx context.Context, name string) error {
	if err := machine.CheckRun(ctx, instance.Root); err != nil {
		return err
	}
	binDir, err := binaries.Ensure(ctx)
	if err != nil {
		return err
	}
	unlock, err := instance.Lock(ctx, instance.Dir(name))
	if err != nil {
		return err
	}
	defer unlock()
	i, err := instance.Create(ctx, name, binDir)
	if err != nil {
		return err
	}
	p := newProgress(name)
	if err := start(ctx, i, binDir, p); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := follow(bounded, i, p); err != nil {
		return err
	}
	if err := install(ctx, i, p); err != nil {
		return err
	}
	p.say("up: %d nodes, API server at %s", instance.Nodes, i.APIServer())
	return nil
}

// start starts what does not run.
func start(ctx context.Context, i *instance.Instance, binDir string, p *progress) error {
	stopped, err := stoppedNodes(i)
	if err != nil {
		return err
	}
	if len(stopped) < instance.Nodes && i.BinDir != binDir {
		p.say("note: it runs other binaries than this checkout would; `cluster down` first to change them")
	}
	if len(stopped) == instance.Nodes {
		i.BinDir = binDir
		if err := i.Save(); err != nil {
			return err
		}
	}
	if len(stopped) == 0 {
		return nil
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
	if err := network.Ensure(ctx, i); err != nil {
		return err
	}
	p.say("network ready")
	for _, n := range stopped {
		if err := node.Start(i, n); err != nil {
			return err
		}
		p.say("%s started", i.NodeName(n))
	}
	return nil
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

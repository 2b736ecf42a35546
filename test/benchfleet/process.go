package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gracefulapp/gracefulapp/test/proc"
)

// process is a running manager program.
type process struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when the process has ended
	err   error         // of cmd.Wait, once ended is closed
}

// startManager starts the manager program against the control plane. It writes its log into dir.
func startManager(ctx context.Context, o options, c *controlPlane, dir string, flags ...string) (*process, error) {
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, c.kubeconfig, 0o600); err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(dir, "manager-*.log")
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--kubeconfig=" + kubeconfig, "--enable-webhook=false", "--metrics-bind-address=0", "--health-probe-bind-address=0", "--zap-log-level=error",
	}, flags...)
	cmd := exec.CommandContext(ctx, o.manager, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s (make build): %w", o.manager, err), log.Close())
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = errors.Join(cmd.Wait(), log.Close())
	}()
	return p, nil
}

// check returns an error with the log if the process has ended.
func (p *process) check() error {
	select {
	case <-p.ended:
		text, err := os.ReadFile(p.log.Name())
		return fmt.Errorf("the manager ended early: %w\n%s", errors.Join(p.err, err), text)
	default:
		return nil
	}
}

// end sends the signal and waits until the process has ended. After SIGTERM the manager must end without an error.
func (p *process) end(signal syscall.Signal) error {
	if err := p.check(); err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		return err
	}
	<-p.ended
	if signal == syscall.SIGTERM {
		return p.err
	}
	return nil
}

// usage reads /proc.
func (p *process) usage() (proc.Usage, error) { return proc.UsageOf(p.cmd.Process.Pid) }

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	// A GOMEMLIMIT as in the operator's Deployment would hide how much memory it needs.
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

// usage is what a process has used.
type usage struct {
	CPUSeconds float64 // user and system time since its start
	RSS        float64 // resident memory in MB now
	PeakRSS    float64 // highest resident memory in MB since its start
}

// clockTicks is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every architecture of Linux that Go supports.
const clockTicks = 100

// usage reads /proc.
func (p *process) usage() (usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return usage{}, err
	}
	return parseUsage(string(stat), string(status))
}

// parseUsage parses the files stat and status of /proc/PID, see proc_pid_stat(5) and proc_pid_status(5). Pure.
func parseUsage(stat, status string) (usage, error) {
	_, after, found := strings.Cut(stat, ") ") // the name of the program stands in parentheses and may have spaces
	fields := strings.Fields(after)
	if !found || len(fields) < 13 {
		return usage{}, fmt.Errorf("unexpected /proc/PID/stat: %q", stat)
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	u := usage{CPUSeconds: (user + system) / clockTicks}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		var kilobytes float64
		if _, err := fmt.Sscanf(value, "%f kB", &kilobytes); err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			u.RSS = kilobytes / 1024
		case "VmHWM":
			u.PeakRSS = kilobytes / 1024
		}
	}
	return u, errors.Join(err1, err2)
}

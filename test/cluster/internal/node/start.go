package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/cgroup"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// Start starts a node's supervisor in its own namespaces. The supervisor is detached from the caller: it has its own session, inherits no
// file and writes its messages to a log. The channel is closed if the supervisor exits while the caller still runs.
func Start(i *instance.Instance, node int) (ended <-chan struct{}, err error) {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	// After a crash the cgroups of old pods are left, and the kubelet would spend time on them. A rebooted machine has none either.
	if err := cgroup.Remove(hierarchies, i.NodeCgroup(node)); err != nil {
		return nil, err
	}
	if err := cgroup.Create(hierarchies, i.NodeCgroup(node)); err != nil {
		return nil, err
	}
	if err := cgroup.Delegate(hierarchies, i.NodeCgroup(node)); err != nil {
		return nil, err
	}
	if err := errors.Join(RemoveStatus(i, node), os.MkdirAll(i.Logs(), 0o755)); err != nil {
		return nil, err
	}
	log, err := os.Create(SupervisorLog(i, node))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// nsenter executes the supervisor without a fork, so the supervisor is process 1.
	c := exec.Command("nsenter", "--net="+i.NetNS(node), "--", self, "supervise", "--name", i.Name, "--node", strconv.Itoa(node))
	c.Stdout, c.Stderr = log, log
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor of %s: %w", i.NodeName(node), err)
	}
	done := make(chan struct{})
	go func() {
		_ = c.Wait() // the log has the reason of its exit
		close(done)
	}()
	return done, awaitLock(i, node, done)
}

// awaitLock returns when the supervisor has the lock, or has exited. Until then, another command would take the node for stopped.
func awaitLock(i *instance.Instance, node int, ended <-chan struct{}) error {
	for {
		if pid, err := Supervisor(i.Dir(), node); err != nil || pid != 0 {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// SupervisorLog is the file to which the supervisor writes its own messages.
func SupervisorLog(i *instance.Instance, node int) string {
	return filepath.Join(i.Logs(), fmt.Sprintf("node%d-supervisor.log", node))
}

func lockFile(dir string, node int) string { return filepath.Join(instance.NodeDir(dir, node), "lock") }

// acquireLock marks the node as running. The kernel releases the lock when the process exits and returns the id of the process that holds it.
// So there is no file with a process id that can be out of date.
func acquireLock(i *instance.Instance, node int) (io.Closer, error) {
	f, err := os.OpenFile(lockFile(i.Dir(), node), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return nil, fmt.Errorf("node %s runs already: %w", i.NodeName(node), err)
	}
	return f, nil
}

// Supervisor returns the process id of a node's supervisor in the caller's namespace, or 0 if it does not run. Its argument is an instance's
// folder, so that it also works for an incomplete instance.
func Supervisor(dir string, node int) (int, error) {
	f, err := os.OpenFile(lockFile(dir, node), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return 0, err
	}
	if lock.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(lock.Pid), nil
}

// Kill kills a node's supervisor and waits until it has exited. The kernel kills all processes of the node, and process 1 exits last.
func Kill(dir string, node int, timeout time.Duration) error {
	pid, err := Supervisor(dir, node)
	if pid == 0 || err != nil {
		return err
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(handle) }()
	// If the process still holds the lock now, the handle is of this process, not of a later one with the same id.
	if again, err := Supervisor(dir, node); again != pid || err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	ended, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, int(timeout.Milliseconds()))
	if err == nil && ended == 0 {
		err = fmt.Errorf("process %d has not ended within %s", pid, timeout)
	}
	return err
}

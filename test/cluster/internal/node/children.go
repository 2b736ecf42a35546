package node

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// children starts processes and reaps all that exit. The supervisor is process 1 of its namespace, so that the kernel kills the whole
// node with it. So containerd's shims become its children too when their parents exit. It must wait for any child, while os/exec waits
// for a single one.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
}

func newChildren() *children {
	c := &children{waiting: map[int]chan syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			c.reap()
		}
	}()
	return c
}

// start starts a command that writes its output to a file. The channel returns its exit status once.
func (c *children) start(argv, env []string, output *os.File) (int, <-chan syscall.WaitStatus, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = null.Close() }()
	// The lock prevents that reap collects the process before waiting has its id.
	c.mu.Lock()
	defer c.mu.Unlock()
	process, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{null, output, output},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	pid := process.Pid // Release resets it
	c.waiting[pid] = ended
	return pid, ended, process.Release()
}

// reap collects every child that has exited. Several exits may cause only one signal.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
		if ended, ok := c.waiting[pid]; ok {
			ended <- status
			delete(c.waiting, pid)
		}
	}
}

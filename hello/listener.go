package main

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// listener wraps the connections that it accepts as conn. When it stops it first accepts the connections in the kernel's queue: the client
// takes these for open, and closing the socket resets them.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		nc, err = l.acceptQueued()
	}
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc}, nil
}

// closeAfterQueue makes Accept return the queued connections and then net.ErrClosed. http.Server.Serve closes the socket after that error.
func (l listener) closeAfterQueue() {
	d, ok := l.Listener.(interface{ SetDeadline(t time.Time) error })
	if !ok || d.SetDeadline(time.Unix(1, 0)) != nil { // a deadline in the past wakes Accept, which then ignores the queue
		_ = l.Close() // Serve returns the error if that fails too
	}
}

// acceptQueued accepts the next connection of the queue without waiting for one (the socket is non-blocking).
func (l listener) acceptQueued() (net.Conn, error) {
	sc, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, net.ErrClosed
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	controlled := raw.Control(func(socket uintptr) {
		for again := true; again; { // skips a connection that its client has aborted
			fd, _, err = syscall.Accept4(int(socket), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			again = errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECONNABORTED)
		}
	})
	if controlled != nil || err != nil {
		return nil, net.ErrClosed
	}
	f := os.NewFile(uintptr(fd), "accepted")
	defer func() { _ = f.Close() }() // FileConn has a descriptor of its own
	return net.FileConn(f)
}

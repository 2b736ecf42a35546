package main

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// listener wraps its connections, and ends without refusing anybody who is connected: to the client a connection is open as soon as the
// kernel has queued it, and closing the socket resets what is queued.
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

// finish makes Accept hand out what is queued and then fail with net.ErrClosed, upon which http.Server.Serve closes the socket.
func (l listener) finish() {
	d, ok := l.Listener.(interface{ SetDeadline(t time.Time) error })
	if !ok || d.SetDeadline(time.Unix(1, 0)) != nil { // long past: wakes Accept, which does not look at the queue from then on
		_ = l.Close() // Serve tells, if that fails too
	}
}

// acceptQueued takes the next connection of the queue without waiting for one (the socket is non-blocking).
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
		for again := true; again; { // one that its client has given up does not hide the next
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

package drain

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// socketOf returns the socket of a connection or listener of package net. Other types return nil, also those that embed one: they may change what the
// socket delivers, such as a proxy protocol's header.
func socketOf(v any) syscall.Conn {
	switch v := v.(type) {
	case *net.TCPConn:
		return v
	case *net.UnixConn:
		return v
	case *net.TCPListener:
		return v
	case *net.UnixListener:
		return v
	}
	return nil
}

// readBuffered reads the socket's receive buffer in spite of a deadline, without waiting (the socket is non-blocking). It returns the number of bytes,
// 0 if the buffer is empty or if the connection has no socket.
func readBuffered(nc net.Conn, p []byte) int {
	socket := socketOf(nc)
	if socket == nil || len(p) == 0 {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	if err := raw.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), p) }); err != nil {
		return 0
	}
	return max(n, 0)
}

// acceptQueued accepts the next connection of the kernel's queue in spite of a deadline, without waiting for one (the socket is non-blocking). It
// returns net.ErrClosed if the queue is empty.
func acceptQueued(l net.Listener) (net.Conn, error) {
	socket := socketOf(l)
	if socket == nil {
		return nil, net.ErrClosed
	}
	raw, err := socket.SyscallConn()
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

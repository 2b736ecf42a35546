package drain

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// tcpPair returns both ends of a connection over loopback: only a real socket has a receive buffer.
func tcpPair(t *testing.T) (client net.Conn, served *conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := listener{Listener: l, server: &server{closed: make(chan struct{})}}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), nc.Close() })
	return client, nc.(*conn)
}

func TestClosingConnectionEndsIfEmpty(t *testing.T) {
	_, served := tcpPair(t)
	served.closeIfEmpty()
	if n, err := served.Read(make([]byte, 8)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v; want EOF", n, err)
	}
}

func TestBusyConnectionIsNotClosed(t *testing.T) {
	client, served := tcpPair(t)
	if _, err := io.WriteString(client, "GET "); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if _, err := served.Read(buf); err != nil {
		t.Fatal(err)
	}
	served.closeIfEmpty()
	if err := served.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := served.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the deadline that was set", err)
	}
}

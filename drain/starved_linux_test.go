package drain

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// A process that gets no CPU for a while reads requests and SIGTERM at the same moment. SIGSTOP and SIGCONT simulate that: the kernel still
// accepts the clients' connections and bytes.
func TestStarvedProcessAnswersRequestsSentBeforeTheSignal(t *testing.T) {
	const clients = 60
	p := startPod(t)
	p.get("/livez")
	kept := dialRaw(t, p.address)
	kept.ask(t, "/livez", false)
	early := dialRaw(t, p.address) // accepted, but nothing sent
	p.get("/livez")

	p.signal(syscall.SIGSTOP)
	conns := []rawConn{kept, early}
	for range clients {
		conns = append(conns, dialRaw(t, p.address))
	}
	for _, c := range conns {
		if _, err := io.WriteString(c, "GET /?seconds=0 HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
	lost := 0
	for _, c := range conns {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d requests were lost", lost, len(conns))
	}
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d, log:\n%s", code, p.raw.String())
	}
}

// Regression test: in pods that got no CPU time for 10 s, ReadHeaderTimeout closed connections whose request had arrived in full: 8 of 25,735 requests of a
// demo were lost.
func TestReadTimeoutDropsNoRequestThatHasArrived(t *testing.T) {
	client, served := tcpPair(t)
	if err := served.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if _, err := served.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing has arrived: got %v, want the deadline", err)
	}
	if _, err := io.WriteString(client, "GET "); err != nil {
		t.Fatal(err)
	}
	if n, err := served.Read(buf); string(buf[:n]) != "GET " || err != nil {
		t.Errorf("read %q, %v; want the bytes that had arrived", buf[:n], err)
	}
}

func TestStarvedProcessAnswersARequestAfterItsReadTimeout(t *testing.T) {
	p := startPod(t, "READ_HEADER_TIMEOUT_MS=200")
	p.get("/livez")
	c := dialRaw(t, p.address)
	if _, err := io.WriteString(c, "GET /?seconds=0 HTTP/1.1\r\nHost:"); err != nil { // the timeout begins with the first byte
		t.Fatal(err)
	}
	p.get("/livez")
	p.signal(syscall.SIGSTOP)
	if _, err := io.WriteString(c, " hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond) // longer than the timeout
	p.signal(syscall.SIGCONT)
	if resp, err := http.ReadResponse(c.in, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %v, want the answer", err)
	}
}

func TestStoppedListenerAcceptsItsQueue(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	l := listener{Listener: socket, server: &server{closed: closed}}
	defer func() { _ = l.Close() }()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET "); err != nil {
			t.Fatal(err)
		}
	}
	close(closed)
	l.closeAfterQueue()
	for range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatalf("%v, want a connection that was queued", err)
		}
		buf := make([]byte, 4)
		if n, err := io.ReadFull(c, buf); string(buf[:n]) != "GET " {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		_ = c.Close()
	}
	if c, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, %v; want the end", c, err)
	}
}

func TestClosingConnectionReadsBufferedBytes(t *testing.T) {
	client, served := tcpPair(t)
	served.closeIfEmpty()
	if err := served.SetReadDeadline(time.Time{}); err != nil { // as net/http does after it has reported the connection idle
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "GET "); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if n, err := served.Read(buf); string(buf[:n]) != "GET " || err != nil {
		t.Fatalf("read %q, %v; want the bytes that the client had sent", buf[:n], err)
	}
	if _, err := io.WriteString(client, "/"); err != nil {
		t.Fatal(err)
	}
	if n, err := served.Read(buf); string(buf[:n]) != "/" || err != nil {
		t.Errorf("then read %q, %v; want the rest, the deadline lifted", buf[:n], err)
	}
}

// A client that sends without a pause gets the deadline too, else it could keep a connection for as long as it likes.
func TestReadTimeoutEndsAnEndlessRequest(t *testing.T) {
	client, served := tcpPair(t)
	go func() {
		for b := make([]byte, 64<<10); ; {
			if _, err := client.Write(b); err != nil {
				return
			}
		}
	}()
	if err := served.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	total, buf := 0, make([]byte, 4<<10)
	for total <= maxLateBytes {
		if _, err := served.Read(buf[:1]); errors.Is(err, os.ErrDeadlineExceeded) { // nothing has arrived, or the limit is reached
			if total == maxLateBytes {
				return
			}
			continue
		}
		total++
		n, _ := served.Read(buf)
		total += n
	}
	t.Errorf("read %d bytes after the deadline, want %d and the deadline", total, maxLateBytes)
}

// A WebSocket library sets deadlines of its own, also to wake its reader.
func TestHijackedConnectionKeepsItsDeadline(t *testing.T) {
	client, served := tcpPair(t)
	if _, err := io.WriteString(client, "frame"); err != nil {
		t.Fatal(err)
	}
	served.hijacked.Store(true)
	if err := served.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := served.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want the deadline", n, err)
	}
}

// shiftedConn stands for a connection that changes what the socket delivers, such as the header of a proxy protocol.
type shiftedConn struct{ *net.TCPConn }

func TestSocketBelowAnotherConnectionIsNotRead(t *testing.T) {
	client, served := tcpPair(t)
	served.Conn = shiftedConn{served.Conn.(*net.TCPConn)}
	if _, err := io.WriteString(client, "PROXY"); err != nil {
		t.Fatal(err)
	}
	if err := served.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := served.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want the deadline", n, err)
	}
}

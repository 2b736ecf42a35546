package drainproxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// early is a server that answers when it has read the header of a request, and never reads a body.
func (p *pod) early(response string) {
	p.app.exit()
	l := listen(p.t, p.app.address)
	p.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.t.Cleanup(func() { _ = c.Close() })
			go func() {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = fmt.Fprint(c, "HTTP/1.1 401 Unauthorized\r\n"+response)
				}
			}()
		}
	}()
}

// The same response with its length and in a chunk.
const (
	withLength = "Content-Length: 2\r\n\r\nno"
	inAChunk   = "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
)

// The app answers before the client has sent the body. The client gets the response, and learns that the connection ends; the rest of the body is no request.
func TestAnEarlyResponse(t *testing.T) {
	t.Parallel()
	const size = 1_000_000 // more than net/http skips by itself
	rest := "POST /hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
	rest += strings.Repeat("x", size-len(rest))
	for name, tt := range map[string]struct{ header, rest string }{
		"with a length": {header: fmt.Sprintf("Content-Length: %d", size), rest: rest},
		"chunked":       {header: "Transfer-Encoding: chunked", rest: fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, rest)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPod(t, slow)
			p.early(withLength)
			c := p.raw("POST / HTTP/1.1\r\nHost: a\r\n" + tt.header + "\r\n\r\n")
			r := bufio.NewReader(c)
			readEarly(t, r)
			if _, err := io.WriteString(c, tt.rest); err != nil {
				t.Errorf("the rest of the body: %v", err)
			}
			if more, err := io.ReadAll(r); err != nil || len(more) > 0 {
				t.Errorf("after the response: %q, %v, want the end of the connection", more, err)
			}
		})
	}
}

func readEarly(t *testing.T, r *bufio.Reader) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusUnauthorized || string(body) != "no" || !response.Close {
		t.Fatalf("%s, %q, %v, close %t; want the app's response, which closes the connection", response.Status, body, err, response.Close)
	}
}

// A client that stops sending gets the whole response at once, also one that ends with a last chunk.
func TestAnEarlyResponseEndsBeforeTheBody(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]string{"with a length": withLength, "chunked": inAChunk} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPod(t, slow)
			p.early(response)
			c := p.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
			_ = c.SetReadDeadline(time.Now().Add(lingerTimeout - time.Second))
			readEarly(t, bufio.NewReader(c))
		})
	}
}

// A client that awaits 100 Continue gets the app's response in its place, and sends no body then.
func TestAnEarlyResponseInPlaceOf100Continue(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	p.early(withLength)
	c := p.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	readEarly(t, bufio.NewReader(c))
	p.awaitRequests(0)
}

// A malformed body is the client's fault: it is no lost request, and what follows is no request.
func TestAMalformedBody(t *testing.T) {
	t.Parallel()
	requests := make(chan string, 10)
	p := startPod(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- r.URL.Path
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	<-p.hook("/leaving")
	c := p.raw("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusBadRequest || !response.Close {
		t.Fatalf("%+v, %v, want 400, which closes the connection", response, err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	if more, _ := io.ReadAll(r); len(more) > 0 {
		t.Errorf("the malformed part was answered: %q", more)
	}
	if path := <-requests; path != "/a" || len(requests) > 0 {
		t.Errorf("the app got %s and %d more requests", path, len(requests))
	}
	if lost, failed := p.proxy.gate.lostRequests(), p.failures(causeClient); lost != 0 || failed != 1 {
		t.Errorf("%d requests are lost and %v failures are the client's, want 0 and 1", lost, failed)
	}
}

// echoBody sends its response while it reads the body.
func echoBody(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	_ = http.NewResponseController(w).Flush()
	part := make([]byte, 10)
	for n, err := r.Body.Read(part); err == nil; n, err = r.Body.Read(part) {
		_, _ = w.Write(part[:n])
		_ = http.NewResponseController(w).Flush()
	}
}

// beginEcho sends a chunked request without a chunk, and returns its response.
func (p *pod) beginEcho() (net.Conn, *http.Response) {
	p.t.Helper()
	c := p.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return c, response
}

func TestAMalformedBodyAfterTheResponseHasBegun(t *testing.T) {
	t.Parallel()
	p := startPod(t, http.HandlerFunc(echoBody))
	<-p.hook("/leaving")
	c, response := p.beginEcho()
	_, _ = io.WriteString(c, "malformed\r\n")
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("the response ends as a complete one")
	}
	p.eventually("the failure is counted", func() bool { return p.failures(causeClient) == 1 })
	if lost := p.proxy.gate.lostRequests(); lost != 0 {
		t.Errorf("%d requests are lost", lost)
	}
}

func TestABodyAndAResponseAtTheSameTime(t *testing.T) {
	t.Parallel()
	p := startPod(t, http.HandlerFunc(echoBody))
	c, response := p.beginEcho()
	for _, part := range []string{"one", "two"} {
		_, _ = fmt.Fprintf(c, "%x\r\n%s\r\n", len(part), part)
		got := make([]byte, len(part))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != part {
			t.Fatalf("%q, %v, want %q", got, err, part)
		}
	}
	_, _ = io.WriteString(c, "0\r\n\r\n")
	if more, err := io.ReadAll(response.Body); err != nil || len(more) > 0 {
		t.Errorf("%q, %v after the end", more, err)
	}
}

// Clients offer HTTP/2 in plain requests. ReverseProxy cannot forward the offer completely, so the app must not see it.
func TestAnOfferOfHTTP2IsNotForwarded(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 1)
	p := startPod(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header }))
	c := p.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", response, err)
	}
	got := <-headers
	for _, name := range []string{"Connection", "Upgrade", "Http2-Settings"} {
		if value, ok := got[name]; ok {
			t.Errorf("the app gets %s: %s", name, value)
		}
	}
}

package load

import (
	"bufio"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
)

// More constants of RFC 9113, sections 6 and 7.
const (
	frameData     = 0
	frameHeaders  = 1
	frameSettings = 4
	frameGoAway   = 7

	flagAck        = 1 // of SETTINGS
	flagEndStream  = 1 // of DATA and HEADERS
	flagEndHeaders = 4

	codeInternal = 2
	codeRefused  = 7

	clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// rawHTTP2 is the server's end of an HTTP/2 connection, without net/http: a test can end its streams and the connection in any way.
type rawHTTP2 struct {
	*net.TCPConn
	in    *bufio.Reader
	acked bool // the client has acknowledged SETTINGS
}

// serveRawHTTP2 starts a server that passes the first connection to first and answers all requests on later connections. It returns the URL.
func serveRawHTTP2(t *testing.T, first func(c *rawHTTP2)) string {
	t.Helper()
	return serveRawAnswers(t, first, func(c *rawHTTP2, stream uint32) { c.answer(stream) })
}

// serveRawAnswers is serveRawHTTP2 with a function that answers the requests on later connections.
func serveRawAnswers(t *testing.T, first func(c *rawHTTP2), answer func(c *rawHTTP2, stream uint32)) string {
	t.Helper()
	var conns atomic.Int64
	return serveRaw(t, func(conn *net.TCPConn, in *bufio.Reader) {
		c := &rawHTTP2{TCPConn: conn, in: in}
		if _, err := io.ReadFull(in, make([]byte, len(clientPreface))); err != nil {
			return // net/http dials for each request that finds no connection, and uses only one of the new connections
		}
		c.frame(frameSettings, 0, 0)
		if conns.Add(1) == 1 {
			first(c)
			return
		}
		for stream := c.request(); stream > 0; stream = c.request() {
			answer(c, stream)
		}
	})
}

func (c *rawHTTP2) frame(kind, flags byte, stream uint32, payload ...byte) {
	header := []byte{0, 0, byte(len(payload)), kind, flags}
	_, _ = c.Write(append(binary.BigEndian.AppendUint32(header, stream), payload...))
}

// requests reads n complete requests and returns their streams in the order in which they began, which may differ from the order in which they
// end. It also waits for the client to acknowledge SETTINGS: closing a connection with an unread frame would reset it.
func (c *rawHTTP2) requests(n int) []uint32 {
	var streams []uint32
	for range n {
		streams = append(streams, c.request())
	}
	for ok := true; ok && !c.acked; {
		_, ok = c.next()
	}
	slices.Sort(streams)
	return streams
}

// request returns the stream of the next complete request, or 0 if the connection has ended.
func (c *rawHTTP2) request() uint32 {
	for {
		if stream, ok := c.next(); stream > 0 || !ok {
			return stream
		}
	}
}

// next reads one frame. stream is not 0 if the frame completes a request. ok is false if the connection has ended.
func (c *rawHTTP2) next() (stream uint32, ok bool) {
	var header [frameHeaderBytes]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return 0, false
	}
	if _, err := c.in.Discard(int(header[0])<<16 | int(header[1])<<8 | int(header[2])); err != nil {
		return 0, false
	}
	switch kind, flags := header[3], header[4]; {
	case kind == frameSettings && flags&flagAck > 0:
		c.acked = true
	case kind == frameSettings:
		c.frame(frameSettings, flagAck, 0)
	case (kind == frameHeaders || kind == frameData) && flags&flagEndStream > 0:
		return binary.BigEndian.Uint32(header[5:]), true
	}
	return 0, true
}

// begin sends the header of a response with status 200 from pod-1.
func (c *rawHTTP2) begin(stream uint32, flags byte) {
	c.fields(stream, flags, []byte{0x88}, "x-served-by", "pod-1") // RFC 7541: entry 8 of the static table
}

// fields sends a HEADERS frame: block followed by the names and values as literals.
func (c *rawHTTP2) fields(stream uint32, flags byte, block []byte, namesAndValues ...string) {
	for i, text := range namesAndValues {
		if i%2 == 0 {
			block = append(block, 0)
		}
		block = append(append(block, byte(len(text))), text...)
	}
	c.frame(frameHeaders, flagEndHeaders|flags, stream, block...)
}

func (c *rawHTTP2) answer(streams ...uint32) {
	for _, stream := range streams {
		c.begin(stream, flagEndStream)
	}
}

func (c *rawHTTP2) half(stream uint32) {
	c.begin(stream, 0)
	c.frame(frameData, 0, stream, []byte("half")...)
}

func (c *rawHTTP2) goAway(last uint32) {
	c.frame(frameGoAway, 0, 0, append(binary.BigEndian.AppendUint32(nil, last), 0, 0, 0, 0)...)
}

func (c *rawHTTP2) reset(stream uint32, code byte) {
	c.frame(frameResetStream, 0, stream, 0, 0, 0, code)
}

// Each case has four requests in flight on one connection. serve runs, and then the server closes the connection.
func TestH2CEnds(t *testing.T) {
	const inFlight = 4
	type classes map[Class]int // "" is answered
	for _, tc := range []struct {
		name  string
		serve func(c *rawHTTP2, s []uint32)
		want  classes
		moved int
	}{
		{name: "GOAWAY behind all, all answered", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[3]); c.answer(s...) }, want: classes{"": 4}, moved: 0},
		{name: "GOAWAY behind the second", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[1]); c.answer(s[:2]...) }, want: classes{"": 4}, moved: 2},
		{name: "GOAWAY behind all, one answered", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[3]); c.answer(s[0]) }, want: classes{"": 1, EOF: 3}, moved: 0},
		{name: "GOAWAY behind the third, one answered", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[2]); c.answer(s[0]) }, want: classes{"": 2, EOF: 2}, moved: 1},
		{name: "cut", serve: func(*rawHTTP2, []uint32) {}, want: classes{EOF: 4}, moved: 0},
		{name: "connection reset", serve: func(c *rawHTTP2, _ []uint32) { _ = c.SetLinger(0) }, want: classes{Reset: 4}, moved: 0},
		{name: "stream refused", serve: func(c *rawHTTP2, s []uint32) {
			c.reset(s[0], codeRefused)
			c.answer(s[1:]...)
			for again := c.request(); again > 0; again = c.request() { // a later request may arrive before the retry
				c.answer(again)
			}
		}, want: classes{"": 4}, moved: 1},
		{name: "stream reset", serve: func(c *rawHTTP2, s []uint32) { c.reset(s[0], codeInternal); c.answer(s[1:]...) }, want: classes{"": 3, Reset: 1}, moved: 0},
		// net/http retries the request although the server may have begun it.
		{name: "PROTOCOL_ERROR", serve: func(c *rawHTTP2, s []uint32) { c.reset(s[0], codeProtocolError); c.answer(s[1:]...) }, want: classes{"": 3, Resent: 1}, moved: 0},
		{name: "stream reset within its answer", serve: func(c *rawHTTP2, s []uint32) {
			c.half(s[0])
			c.reset(s[0], codeInternal)
			c.answer(s[1:]...)
		}, want: classes{"": 3, Truncated: 1}, moved: 0},
		{name: "PROTOCOL_ERROR within its answer", serve: func(c *rawHTTP2, s []uint32) {
			c.half(s[0])
			c.reset(s[0], codeProtocolError)
			c.answer(s[1:]...)
		}, want: classes{"": 3, Truncated: 1}, moved: 0},
		{name: "cut within an answer", serve: func(c *rawHTTP2, s []uint32) { c.half(s[0]); c.answer(s[1:]...) }, want: classes{"": 3, Truncated: 1}, moved: 0},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(tc.name+"/"+method, func(t *testing.T) {
				url := serveRawHTTP2(t, func(c *rawHTTP2) {
					tc.serve(c, c.requests(inFlight))
				})
				target := Target{URL: url, Mode: H2C, Connections: 1, MaxInFlight: inFlight, Method: method}
				if method == http.MethodPost {
					target.Body = 2048
				}
				got, moved := classes{}, 0
				records := run(t, target, inFlight)[:inFlight]
				for _, r := range records {
					got[r.Class]++
					moved += countOf(r).Moved
				}
				if !maps.Equal(got, tc.want) || moved != tc.moved {
					t.Errorf("got %v, %d moved, want %v, %d moved: %+v", got, moved, tc.want, tc.moved, records)
				}
			})
		}
	}
}

func TestH2CLossesNameThePod(t *testing.T) {
	url := serveRawHTTP2(t, func(c *rawHTTP2) {
		c.answer(c.request())
		c.reset(c.request(), codeProtocolError) // net/http retries it on another connection
		c.request()
	})
	records := run(t, Target{URL: url, Mode: H2C, Connections: 1, MaxInFlight: 1}, 2)
	if r := records[1]; r.Class != Resent || r.Status != http.StatusOK || r.Pod != "pod-1" || r.ID != "test-1" {
		t.Errorf("%+v, want it lost by pod-1 and answered when sent again", r)
	}
}

// A read may end anywhere within a frame.
func TestResetsAreCountedInPartsOfFrames(t *testing.T) {
	frames := append([]byte{0, 0, 5, frameData, 0, 0, 0, 0, 1}, "\x00\x00\x04\x03\x00"...)
	for _, code := range []byte{codeProtocolError, codeRefused, codeProtocolError} {
		frames = append(frames, 0, 0, 4, frameResetStream, 0, 0, 0, 0, 1, 0, 0, 0, code)
	}
	frames = append(frames, 0, 0, 0, frameSettings, flagAck, 0, 0, 0, 0)
	for size := 1; size <= len(frames); size++ {
		var r resets
		for rest := frames; len(rest) > 0; {
			n := min(size, len(rest))
			r.scan(rest[:n])
			rest = rest[n:]
		}
		if got := r.count.Load(); got != 2 || r.have != 0 || r.payload != 0 {
			t.Errorf("in parts of %d bytes: %d resets, want 2: %+v", size, got, r.frame)
		}
	}
}

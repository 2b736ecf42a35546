package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const method = "/lab.Hello/Say"

func TestCallsAreWellFormed(t *testing.T) {
	for query, want := range map[string]string{
		"":              "\x00\x00\x00\x00\x00",
		"?seconds=0":    "\x00\x00\x00\x00\x00",
		"?seconds=2":    "\x00\x00\x00\x00\x02\x08\x02",
		"?seconds=1.25": "\x00\x00\x00\x00\x07\x08\x01\x10\x80\xe5\x9a\x77",
	} {
		url, conns := serveH2C(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			got := fmt.Sprintf("%s %s %q %q %q %v", r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Te"), body, err)
			if wanted := fmt.Sprintf("POST %s %q %q %q <nil>", method, "application/grpc", "trailers", want); got != wanted {
				t.Errorf("%q: got %s, want %s", query, got, wanted)
			}
			w.Header().Set("Trailer", statusTrailer)
			_, _ = w.Write(frameMessage([]byte("hello")))
			w.Header().Set(statusTrailer, "0")
		})
		for _, r := range run(t, Target{URL: url + method + query, Mode: GRPC, Connections: 2}, 10) {
			if r.Outcome != Answered {
				t.Errorf("%+v, want it answered", r)
			}
		}
		if conns.Load() != 2 {
			t.Errorf("%d connections, want 2", conns.Load())
		}
	}
}

func TestHTTPFailuresOfCalls(t *testing.T) {
	for status, want := range map[int]Record{
		http.StatusServiceUnavailable:   {Outcome: Lost, Class: ServerError},
		http.StatusUnsupportedMediaType: {Outcome: Rejected},
	} {
		url, _ := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		for _, r := range run(t, Target{URL: url + method, Mode: GRPC}, 1) {
			if r.Outcome != want.Outcome || r.Class != want.Class {
				t.Errorf("%d: %+v, want %s %s", status, r, want.Outcome, want.Class)
			}
		}
	}
}

// A status that is the caller's fault, such as UNIMPLEMENTED, is no loss. A status that a server may return because it shuts down is a loss.
func TestCallersFaultsAreNotLost(t *testing.T) {
	fault := []int{3, 5, 6, 7, 9, 11, 12, 16}
	for status := 1; status <= 17; status++ { // gRPC has no status 17
		url, _ := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(statusTrailer, strconv.Itoa(status)) // without a message: the header is the trailer
		})
		want, class := Lost, ServerError
		if slices.Contains(fault, status) {
			want, class = Rejected, ""
		}
		for _, r := range run(t, Target{URL: url + method, Mode: GRPC}, 1) {
			if r.Outcome != want || r.Class != class {
				t.Errorf("grpc-status %d: %+v, want %s %s", status, r, want, class)
			}
		}
	}
}

// trailer sends the trailer, which ends the response of a call.
func (c *rawHTTP2) trailer(stream uint32, status string) {
	c.fields(stream, flagEndStream, nil, "grpc-status", status, "grpc-message", "why")
}

// data sends a part of the response of a call.
func (c *rawHTTP2) data(stream uint32, flags byte, payload []byte) {
	c.frame(frameData, flags, stream, payload...)
}

// message sends the header and the message of the response of a call.
func (c *rawHTTP2) message(stream uint32) {
	c.begin(stream, 0)
	c.data(stream, 0, frameMessage([]byte("hello")))
}

func (c *rawHTTP2) answerCalls(streams ...uint32) {
	for _, stream := range streams {
		c.message(stream)
		c.trailer(stream, "0")
	}
}

// Each case has four calls in flight on one connection. serve runs, and then the server closes the connection.
func TestCallsEnd(t *testing.T) {
	const inFlight = 4
	type classes map[Class]int // "" is answered
	rest := func(c *rawHTTP2, s []uint32) { c.answerCalls(s[1:]...) }
	for _, tc := range []struct {
		name  string
		serve func(c *rawHTTP2, s []uint32)
		want  classes
		moved int
		error string // of the lost calls
	}{
		{name: "GOAWAY behind all, all answered", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[3]); c.answerCalls(s...) }, want: classes{"": 4}, moved: 0, error: ""},
		{name: "GOAWAY behind the second", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[1]); c.answerCalls(s[:2]...) }, want: classes{"": 4}, moved: 2, error: ""},
		{name: "GOAWAY in two steps", serve: func(c *rawHTTP2, s []uint32) {
			c.goAway(1<<31 - 1)
			c.answerCalls(s[0])
			c.goAway(s[3])
			c.answerCalls(s[1:]...)
		}, want: classes{"": 4}, moved: 0, error: ""},
		{name: "GOAWAY behind all, one answered", serve: func(c *rawHTTP2, s []uint32) { c.goAway(s[3]); c.answerCalls(s[0]) }, want: classes{"": 1, EOF: 3}, moved: 0, error: "GOAWAY"},
		{name: "cut", serve: func(*rawHTTP2, []uint32) {}, want: classes{EOF: 4}, moved: 0, error: "EOF"},
		{name: "stream refused", serve: func(c *rawHTTP2, s []uint32) {
			c.reset(s[0], codeRefused)
			rest(c, s)
			for again := c.request(); again > 0; again = c.request() { // a later request may arrive before the retry
				c.answerCalls(again)
			}
		}, want: classes{"": 4}, moved: 1, error: ""},
		{name: "stream reset", serve: func(c *rawHTTP2, s []uint32) { c.reset(s[0], codeInternal); rest(c, s) }, want: classes{"": 3, Reset: 1}, moved: 0, error: "INTERNAL_ERROR"},
		{name: "PROTOCOL_ERROR", serve: func(c *rawHTTP2, s []uint32) { c.reset(s[0], codeProtocolError); rest(c, s) }, want: classes{"": 3, Resent: 1}, moved: 0, error: ""},
		{name: "stream reset behind the message", serve: func(c *rawHTTP2, s []uint32) {
			c.message(s[0])
			c.reset(s[0], codeInternal)
			rest(c, s)
		}, want: classes{"": 3, Truncated: 1}, moved: 0, error: "INTERNAL_ERROR"},
		{name: "cut behind the message", serve: func(c *rawHTTP2, s []uint32) { c.message(s[0]); rest(c, s) }, want: classes{"": 3, Truncated: 1}, moved: 0, error: "EOF"},
		{name: "UNAVAILABLE at once", serve: func(c *rawHTTP2, s []uint32) {
			c.fields(s[0], flagEndStream, []byte{0x88}, "grpc-status", "14", "grpc-message", "why")
			rest(c, s)
		}, want: classes{"": 3, ServerError: 1}, moved: 0, error: "grpc-status 14: why"},
		{name: "UNAVAILABLE behind the message", serve: func(c *rawHTTP2, s []uint32) {
			c.message(s[0])
			c.trailer(s[0], "14")
			rest(c, s)
		}, want: classes{"": 3, ServerError: 1}, moved: 0, error: "grpc-status 14: why"},
		{name: "no trailer", serve: func(c *rawHTTP2, s []uint32) {
			c.message(s[0])
			c.data(s[0], flagEndStream, nil)
			rest(c, s)
		}, want: classes{"": 3, Truncated: 1}, moved: 0, error: "without a grpc-status"},
		{name: "a trailer without a status", serve: func(c *rawHTTP2, s []uint32) {
			c.message(s[0])
			c.fields(s[0], flagEndStream, nil, "x", "y")
			rest(c, s)
		}, want: classes{"": 3, Truncated: 1}, moved: 0, error: "without a grpc-status"},
		{name: "nothing but a header", serve: func(c *rawHTTP2, s []uint32) { c.answer(s[0]); rest(c, s) },
			want: classes{"": 3, Truncated: 1}, moved: 0, error: "without a grpc-status"},
		{name: "OK without a message", serve: func(c *rawHTTP2, s []uint32) { c.begin(s[0], 0); c.trailer(s[0], "0"); rest(c, s) },
			want: classes{"": 3, Truncated: 1}, moved: 0, error: "without a complete message"},
		{name: "OK with half a message", serve: func(c *rawHTTP2, s []uint32) {
			c.begin(s[0], 0)
			c.data(s[0], 0, frameMessage([]byte("hello"))[:8])
			c.trailer(s[0], "0")
			rest(c, s)
		}, want: classes{"": 3, Truncated: 1}, moved: 0, error: "without a complete message"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := serveRawAnswers(t, func(c *rawHTTP2) {
				tc.serve(c, c.requests(inFlight))
			}, func(c *rawHTTP2, stream uint32) { c.answerCalls(stream) })
			got, moved := classes{}, 0
			records := run(t, Target{URL: url + method, Mode: GRPC, Connections: 1, MaxInFlight: inFlight}, inFlight)[:inFlight]
			for _, r := range records {
				got[r.Class]++
				moved += countOf(r).Moved
				if r.Outcome == Lost && !strings.Contains(r.Error, tc.error) {
					t.Errorf("lost by %q, want %q", r.Error, tc.error)
				}
			}
			if !maps.Equal(got, tc.want) || moved != tc.moved {
				t.Errorf("got %v, %d moved, want %v, %d moved: %+v", got, moved, tc.want, tc.moved, records)
			}
		})
	}
}

// A message may arrive in parts of any size.
func TestCallBodiesAreReadInParts(t *testing.T) {
	answer := frameMessage(bytes.Repeat([]byte("x"), 300))
	for _, size := range []int{1, 3, 4, 5, 6, 7, 1000} {
		b := newCallBody(&http.Response{
			Body: io.NopCloser(bytes.NewReader(answer)), Trailer: http.Header{statusTrailer: {"0"}},
		})
		var read []byte
		part := make([]byte, size)
		for {
			n, err := b.Read(part)
			read = append(read, part[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("in parts of %d: %v", size, err)
			}
		}
		if !bytes.Equal(read, answer) {
			t.Errorf("in parts of %d: %d bytes of %d", size, len(read), len(answer))
		}
	}
}

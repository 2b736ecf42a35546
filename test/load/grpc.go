package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A gRPC call is an HTTP/2 POST. Its response has a message and, in the trailer, a status ("gRPC over HTTP2" in the documentation of gRPC,
// PROTOCOL-HTTP2.md). This file implements it over net/http, like all other modes, because the client of grpc-go retries calls transparently.
const (
	callType      = "application/grpc"
	statusTrailer = "Grpc-Status"
	textTrailer   = "Grpc-Message"
	callOK        = "0"
	// messageHeader is the size of a message's header: one byte for the compression and four for the length.
	messageHeader = 5
)

var (
	errNoStatus  = errors.New("grpc: the response ended without a grpc-status")
	errNoMessage = errors.New("grpc: grpc-status 0 without a complete message")
)

// callError is a grpc-status other than OK.
type callError struct{ status, text string }

func (e *callError) Error() string { return fmt.Sprintf("grpc: grpc-status %s: %s", e.status, e.text) }

// isCallersFault reports whether the server would reject the call again, as with an HTTP 4xx. A server that shuts down may return any other status
// ("Status codes and their use in gRPC" in the documentation of gRPC, statuscodes.md).
func (e *callError) isCallersFault() bool {
	switch e.status {
	case "3", "5", "6", "7", "9", "11", "12", "16":
		// INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED
		return true
	}
	return false
}

// call returns the HTTP request of a unary call. The path of the target names the method. The message is a google.protobuf.Duration: the seconds
// in the target's query, after which the server answers.
func call(target string) (vegeta.Target, error) {
	u, err := url.Parse(target)
	if err != nil {
		return vegeta.Target{}, err
	}
	if service, method, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/"); !ok || service == "" || method == "" || strings.Contains(method, "/") {
		return vegeta.Target{}, fmt.Errorf("want the path /SERVICE/METHOD for a gRPC call, not %q", u.Path)
	}
	seconds := 0.0
	if text := u.Query().Get("seconds"); text != "" {
		if seconds, err = strconv.ParseFloat(text, 64); err != nil || !(seconds >= 0 && seconds <= Timeout.Seconds()) {
			return vegeta.Target{}, fmt.Errorf("want seconds from 0 to %g, not %q", Timeout.Seconds(), text)
		}
	}
	u.RawQuery = ""
	return vegeta.Target{
		Method: http.MethodPost, URL: u.String(), Body: frameMessage(durationMessage(seconds)),
		Header: http.Header{"Content-Type": {callType}, "Te": {"trailers"}},
	}, nil
}

// durationMessage encodes a google.protobuf.Duration: field 1 has the seconds and field 2 the rest in nanoseconds. Each is a tag and a varint, and
// a field with the value 0 is left out.
func durationMessage(seconds float64) []byte {
	whole, rest := math.Modf(seconds)
	var message []byte
	for i, n := range []uint64{uint64(whole), uint64(rest * float64(time.Second))} {
		if n > 0 {
			message = binary.AppendUvarint(append(message, byte(i+1)<<3), n)
		}
	}
	return message
}

func frameMessage(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// callBody is the body of a call's response. If the call has failed, Read returns the reason in place of io.EOF.
type callBody struct {
	io.ReadCloser
	resp   *http.Response
	header []byte // the bytes read so far of the first message's header
	read   int64
}

func newCallBody(resp *http.Response) *callBody {
	return &callBody{ReadCloser: resp.Body, resp: resp}
}

func (b *callBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.header = append(b.header, p[:min(n, messageHeader-len(b.header))]...)
	if errors.Is(err, io.EOF) {
		err = b.end()
	}
	return n, err
}

// end checks a complete response. A response without a message has its grpc-status in the header, because header and trailer are one.
func (b *callBody) end() error {
	trailer := b.resp.Trailer
	if b.resp.Header.Get(statusTrailer) != "" {
		trailer = b.resp.Header
	}
	switch status := trailer.Get(statusTrailer); {
	case status == "":
		return errNoStatus
	case status != callOK:
		return &callError{status, trailer.Get(textTrailer)}
	case len(b.header) < messageHeader || b.read != messageHeader+int64(binary.BigEndian.Uint32(b.header[1:])):
		return errNoMessage
	}
	return io.EOF
}

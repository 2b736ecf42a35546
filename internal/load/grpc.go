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

// A gRPC call is an HTTP/2 POST: its answer has a message and, in the trailer, its own status ("gRPC over HTTP2" in the documentation of
// gRPC, PROTOCOL-HTTP2.md). It is written here by hand, over net/http as all other modes, for gRPC's own client repeats calls unseen
// (transparent retries).
const (
	callType      = "application/grpc"
	statusTrailer = "Grpc-Status"
	textTrailer   = "Grpc-Message"
	callOK        = "0"
	// messageHeader is a byte that tells whether the message is compressed, and 4 of its length.
	messageHeader = 5
)

var (
	errNoStatus  = errors.New("grpc: the answer ended without a grpc-status")
	errNoMessage = errors.New("grpc: grpc-status 0 without a whole message")
)

// callError is what a server answers with instead of a message.
type callError struct{ status, text string }

func (e *callError) Error() string { return fmt.Sprintf("grpc: grpc-status %s: %s", e.status, e.text) }

// aimedWrong says that the server understood the call and would refuse it again, as it would with a 4xx. All other statuses may be due to the
// server's end ("Status codes and their use in gRPC" in the documentation of gRPC, statuscodes.md).
func (e *callError) aimedWrong() bool {
	switch e.status {
	case "3", "5", "6", "7", "9", "11", "12", "16":
		// INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED
		return true
	}
	return false
}

// call is the request of a unary call. Its path names the method, and its message is a google.protobuf.Duration of the query's seconds: how
// long the answer shall take.
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

// durationMessage is google.protobuf.Duration in the wire format of protocol buffers: field 1 the seconds, field 2 the rest in nanoseconds,
// each a tag and a varint, neither if it is 0.
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

// callBody is the body of a call's answer; in place of its end it gives the reason why the call has failed, if it has.
type callBody struct {
	io.ReadCloser
	resp   *http.Response
	header []byte // of the first message, as far as it was read
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

// end judges a whole answer. One without a message has its status in the header, for its header is its trailer.
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

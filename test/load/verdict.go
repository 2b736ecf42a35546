package load

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// Outcome is the result of a request.
type Outcome string

const (
	Answered  Outcome = "answered"  // complete response with status 2xx
	Rejected  Outcome = "rejected"  // complete response with 3xx, 4xx or a similar grpc-status: not lost, but the client sends wrong requests
	Cancelled Outcome = "cancelled" // the client cancelled the request before its response was complete
	Lost      Outcome = "lost"      // sent, and no complete response arrived
)

// Class is the way in which a request was lost.
type Class string

const (
	Refused     Class = "refused"
	Reset       Class = "reset" // reset of the connection or, in HTTP/2, of the stream
	EOF         Class = "eof"   // the connection ended before the first byte of the response
	TimedOut    Class = "timeout"
	Unreachable Class = "unreachable" // no route, or the host name was not resolved
	ServerError Class = "5xx"         // or a grpc-status that is not OK and not the caller's fault
	Truncated   Class = "truncated"   // the connection ended within the response, or a gRPC response had no status
	Resent      Class = "resent"      // lost on a broken connection and retried by net/http, which hides the loss from the caller
	Other       Class = "other"
)

// Ending holds the facts about the end of a request from which Judge decides.
type Ending struct {
	Err     error // of the request, if no response header arrived
	BodyErr error // of reading the response, or of the gRPC call
	Status  int   // of HTTP
	Resent  bool  // net/http has retried the request on another connection
}

// Judge returns the outcome of a request and, if it was lost, the class of the loss. A request that net/http has retried is lost, even if the
// retry succeeded: a client that does not retry would have lost it.
func Judge(e Ending) (Outcome, Class) {
	var failed *callError
	switch {
	case e.Resent:
		return Lost, Resent
	case errors.Is(e.Err, context.Canceled), errors.Is(e.BodyErr, context.Canceled):
		return Cancelled, ""
	case e.Err != nil:
		return Lost, classify(e.Err)
	case isTimeout(e.BodyErr):
		return Lost, TimedOut
	case errors.As(e.BodyErr, &failed):
		if failed.isCallersFault() {
			return Rejected, ""
		}
		return Lost, ServerError
	case e.BodyErr != nil:
		return Lost, Truncated
	case e.Status >= 500:
		return Lost, ServerError
	case e.Status >= 300:
		return Rejected, ""
	}
	return Answered, ""
}

func classify(err error) Class {
	var dns *net.DNSError
	switch {
	case isTimeout(err):
		return TimedOut
	case errors.As(err, &dns), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Unreachable
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	// If net/http sees that the server has closed the connection, it closes it too. A body that it still writes then fails with net.ErrClosed.
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, errServerClosed):
		return EOF
	}
	return classifyText(err.Error())
}

// classifyText classifies errors by their text, because net/http does not export them.
func classifyText(text string) Class {
	for _, known := range []struct {
		part  string
		class Class
	}{
		{part: "http: server closed idle connection", class: EOF},                 // HTTP/1 had chosen the connection for a request
		{part: "http2: server sent GOAWAY and closed the connection", class: EOF}, // while the request was in flight
		{part: "http2: client conn could not be established", class: EOF},         // the connection was closed before its first request
		{part: "stream error: stream ID ", class: Reset},                          // RST_STREAM
	} {
		if strings.Contains(text, known.part) {
			return known.class
		}
	}
	return Other
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

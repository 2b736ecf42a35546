package load

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// Outcome is what became of a request.
type Outcome string

const (
	Answered  Outcome = "answered"  // its whole answer came, status 2xx
	Rejected  Outcome = "rejected"  // its whole answer came, 3xx, 4xx or a grpc-status like it: nothing is lost, but the load is aimed wrong
	Cancelled Outcome = "cancelled" // given up by the client
	Lost      Outcome = "lost"      // sent, and did not end with its whole answer
)

// Class says how a request was lost.
type Class string

const (
	Refused     Class = "refused"
	Reset       Class = "reset" // of the connection, or of the request's stream in HTTP/2
	EOF         Class = "eof"   // the connection ended before the first byte of the answer
	TimedOut    Class = "timeout"
	Unreachable Class = "unreachable" // no route, or the name was not resolved
	ServerError Class = "5xx"         // or a grpc-status that is neither OK nor the caller's fault
	Truncated   Class = "truncated"   // the connection ended within the answer, or a gRPC answer had no status
	Resent      Class = "resent"      // lost on a broken connection and repeated by net/http, which hides it from the caller
	Other       Class = "other"
)

// Ending is all that a verdict rests on.
type Ending struct {
	Err     error // no answer
	BodyErr error // the answer broke off, or is a gRPC call's failure
	Status  int
	Resent  bool
}

var errNotSent = errors.New("the request never reached the transport")

// Judge gives the verdict on a request. A request that was resent is lost whatever came of its repetition: a client that does not repeat
// would have lost it.
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
		if failed.aimedWrong() {
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
	// net/http closes a connection itself when it finds that the server has, and may still be writing a body to it.
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, errServerClosed):
		return EOF
	}
	return classifyText(err.Error())
}

// classifyText knows the errors that net/http does not export.
func classifyText(text string) Class {
	for _, known := range []struct {
		part  string
		class Class
	}{
		{"http: server closed idle connection", EOF},                 // and HTTP/1 had it in hand for a request
		{"http2: server sent GOAWAY and closed the connection", EOF}, // with the request in flight
		{"http2: client conn could not be established", EOF},         // it was closed before its first request
		{"stream error: stream ID ", Reset},                          // RST_STREAM
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

// Window is a phase of a run. To is exclusive.
type Window struct {
	Name     string
	From, To time.Time
}

// Between is the name that Phases gives to the time outside all windows.
const Between = "between"

// Phases counts requests by window: a request belongs to the window in which it was sent. One that was lost and was sent
// outside all windows belongs to the one in which it ended: what a step cut off is that step's loss.
// Requests come as Seconds and counts are as fine as that; losses are placed exactly.
func Phases(seconds []Second, losses []Record, windows []Window) map[string]Count {
	counts := map[string]Count{}
	for _, s := range seconds {
		name := windowAt(windows, s.At)
		c := counts[name]
		c.add(s.Count)
		c.Lost -= s.Lost
		counts[name] = c
	}
	for _, r := range losses {
		name := windowAt(windows, r.Sent)
		if name == Between {
			name = windowAt(windows, r.End())
		}
		c := counts[name]
		c.Lost++
		counts[name] = c
	}
	return counts
}

func windowAt(windows []Window, t time.Time) string {
	for _, w := range windows {
		if !t.Before(w.From) && t.Before(w.To) {
			return w.Name
		}
	}
	return Between
}

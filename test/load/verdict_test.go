package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestJudge(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	for _, tc := range []struct {
		name   string
		ending Ending
		want   Outcome
		class  Class
	}{
		{name: "a whole answer is no loss", ending: Ending{Status: 200}, want: Answered, class: ""},
		{name: "a 4xx is an answer, though not the one that was wanted", ending: Ending{Status: 404}, want: Rejected, class: ""},
		{name: "a 5xx is lost: a proxy says so when it has no server", ending: Ending{Status: 503}, want: Lost, class: ServerError},
		{name: "no process listens", ending: Ending{Err: dial(syscall.ECONNREFUSED)}, want: Lost, class: Refused},
		{name: "no route to the pod", ending: Ending{Err: dial(syscall.EHOSTUNREACH)}, want: Lost, class: Unreachable},
		{name: "no address for the name", ending: Ending{Err: &net.DNSError{Err: "no such host", Name: "hello"}}, want: Lost, class: Unreachable},
		{name: "reset while waiting", ending: Ending{Err: fmt.Errorf("read: %w", syscall.ECONNRESET)}, want: Lost, class: Reset},
		{name: "reset while writing", ending: Ending{Err: fmt.Errorf("write: %w", syscall.EPIPE)}, want: Lost, class: Reset},
		{name: "closed without an answer", ending: Ending{Err: io.EOF}, want: Lost, class: EOF},
		{name: "closed within the header", ending: Ending{Err: fmt.Errorf("broken: %w", io.ErrUnexpectedEOF)}, want: Lost, class: EOF},
		{name: "closed while idle", ending: Ending{Err: errors.New("http: server closed idle connection")}, want: Lost, class: EOF},
		{name: "closed within the request's body", ending: Ending{Err: &net.OpError{Op: "write", Err: net.ErrClosed}}, want: Lost, class: EOF},
		{name: "closed before its first request", ending: Ending{Err: errors.New("http2: client conn could not be established")}, want: Lost, class: EOF},
		{name: "no answer in time", ending: Ending{Err: context.DeadlineExceeded}, want: Lost, class: TimedOut},
		{name: "no connection in time", ending: Ending{Err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}}, want: Lost, class: TimedOut},
		{name: "half an answer", ending: Ending{Status: 200, BodyErr: io.ErrUnexpectedEOF}, want: Lost, class: Truncated},
		{name: "half an answer, then reset", ending: Ending{Status: 200, BodyErr: syscall.ECONNRESET}, want: Lost, class: Truncated},
		{name: "half an answer in time", ending: Ending{Status: 200, BodyErr: context.DeadlineExceeded}, want: Lost, class: TimedOut},
		{name: "given up before the answer", ending: Ending{Err: context.Canceled}, want: Cancelled, class: ""},
		{name: "given up within the answer", ending: Ending{Status: 200, BodyErr: context.Canceled}, want: Cancelled, class: ""},
		{name: "a retry that succeeded hides a loss", ending: Ending{Status: 200, Resent: true}, want: Lost, class: Resent},
		{name: "any other error is lost too", ending: Ending{Err: errors.New("malformed HTTP response")}, want: Lost, class: Other},
		{name: "a request that never reached the transport is lost", ending: Ending{Err: errNotSent}, want: Lost, class: Other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if outcome, class := Judge(tc.ending); outcome != tc.want || class != tc.class {
				t.Errorf("got %s %q, want %s %q", outcome, class, tc.want, tc.class)
			}
		})
	}
}

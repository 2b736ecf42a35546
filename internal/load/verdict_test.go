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
	"time"

	"github.com/google/go-cmp/cmp"
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
		{"a whole answer is no loss", Ending{Status: 200}, Answered, ""},
		{"a 4xx is an answer, though not the one that was wanted", Ending{Status: 404}, Rejected, ""},
		{"a 5xx is lost: a proxy says so when it has no server", Ending{Status: 503}, Lost, ServerError},
		{"no process listens", Ending{Err: dial(syscall.ECONNREFUSED)}, Lost, Refused},
		{"no route to the pod", Ending{Err: dial(syscall.EHOSTUNREACH)}, Lost, Unreachable},
		{"no address for the name", Ending{Err: &net.DNSError{Err: "no such host", Name: "hello"}}, Lost, Unreachable},
		{"reset while waiting", Ending{Err: fmt.Errorf("read: %w", syscall.ECONNRESET)}, Lost, Reset},
		{"reset while writing", Ending{Err: fmt.Errorf("write: %w", syscall.EPIPE)}, Lost, Reset},
		{"closed without an answer", Ending{Err: io.EOF}, Lost, EOF},
		{"closed within the header", Ending{Err: fmt.Errorf("broken: %w", io.ErrUnexpectedEOF)}, Lost, EOF},
		{"closed while idle", Ending{Err: errors.New("http: server closed idle connection")}, Lost, EOF},
		{"closed within the request's body", Ending{Err: &net.OpError{Op: "write", Err: net.ErrClosed}}, Lost, EOF},
		{"closed before its first request", Ending{Err: errors.New("http2: client conn could not be established")}, Lost, EOF},
		{"no answer in time", Ending{Err: context.DeadlineExceeded}, Lost, TimedOut},
		{"no connection in time", Ending{Err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}}, Lost, TimedOut},
		{"half an answer", Ending{Status: 200, BodyErr: io.ErrUnexpectedEOF}, Lost, Truncated},
		{"half an answer, then reset", Ending{Status: 200, BodyErr: syscall.ECONNRESET}, Lost, Truncated},
		{"half an answer in time", Ending{Status: 200, BodyErr: context.DeadlineExceeded}, Lost, TimedOut},
		{"given up before the answer", Ending{Err: context.Canceled}, Cancelled, ""},
		{"given up within the answer", Ending{Status: 200, BodyErr: context.Canceled}, Cancelled, ""},
		{"a retry that succeeded hides a loss", Ending{Status: 200, Resent: true}, Lost, Resent},
		{"any other error is lost too", Ending{Err: errors.New("malformed HTTP response")}, Lost, Other},
		{"a request that never reached the transport is lost", Ending{Err: errNotSent}, Lost, Other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if outcome, class := Judge(tc.ending); outcome != tc.want || class != tc.class {
				t.Errorf("got %s %q, want %s %q", outcome, class, tc.want, tc.class)
			}
		})
	}
}

func TestPhases(t *testing.T) {
	zero := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }
	windows := []Window{{"up", at(2), at(4)}, {"down", at(6), at(8)}}
	lost := func(sent, latency float64) Record {
		return Record{Sent: at(sent), Latency: at(latency).Sub(zero), Outcome: Lost}
	}
	records := []Record{
		lost(2, 0),     // at the very start of a window
		lost(4, 0.5),   // a window's end is exclusive
		lost(5.5, 1),   // sent before the step, cut off by it
		lost(7.9, 0.5), // ends after the step, was sent within it
		lost(9, 1),
	}
	for s := range 10 {
		records = append(records, Record{Sent: at(float64(s)), Outcome: Answered})
	}
	got := Phases(Seconds(records), records[:5], windows)
	want := map[string]Count{
		"up":    {Requests: 3, Answered: 2, Lost: 1},
		"down":  {Requests: 3, Answered: 2, Lost: 2},
		Between: {Requests: 9, Answered: 6, Lost: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

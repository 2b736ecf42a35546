package lab

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
)

var zero = time.Unix(1_800_000_000, 0)

func at(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }

func TestAttribute(t *testing.T) {
	serving := report.Pod{Name: "serving", Created: at(-100), Ready: at(-90)}
	draining := report.Pod{Name: "draining", Created: at(-100), Ready: at(-90), Deleted: at(10)}
	ended := report.Pod{Name: "ended", Created: at(-100), Ready: at(-90), Deleted: at(10), Signal: at(15), Ended: at(16), ExitCode: new(int32(0))}
	killed := report.Pod{Name: "killed", Created: at(-100), Ready: at(-90), Deleted: at(10), Signal: at(10), Ended: at(40), ExitCode: new(int32(137))}
	starting := report.Pod{Name: "starting", Created: at(17)}
	unprobed := report.Pod{Name: "unprobed", Created: at(17), Ready: at(17.5)}
	tests := []struct {
		name        string
		loss        report.Loss
		keepAlive   bool
		listenDelay time.Duration
		pods        []report.Pod
		want        report.Loss // Pod, Guessed, Phase, Row
	}{
		{
			name: "cut off by SIGKILL",
			loss: report.Loss{Sent: at(20), Lost: at(40.5), Class: load.EOF, ServerState: report.Begun, Pod: "killed"},
			pods: []report.Pod{serving, killed},
			want: report.Loss{Pod: "killed", Phase: "0.5 s after end", Row: "D6"},
		},
		{
			name: "cut off by a server that did not wait",
			loss: report.Loss{Sent: at(14), Lost: at(16), Class: load.EOF, ServerState: report.Begun, Pod: "ended"},
			pods: []report.Pod{serving, ended},
			want: report.Loss{Pod: "ended", Phase: "0.0 s after end", Row: "D14"},
		},
		{
			name: "a kept connection was closed under a request",
			loss: report.Loss{Sent: at(15.1), Lost: at(15.2), Class: load.Resent, ServerState: report.NeverSeen, Pod: "ended"}, keepAlive: true,
			pods: []report.Pod{serving, ended},
			want: report.Loss{Pod: "ended", Phase: "0.2 s after SIGTERM", Row: "D16"},
		},
		{
			name: "a new connection was closed unread at SIGTERM",
			loss: report.Loss{Sent: at(10.5), Lost: at(15.7), Class: load.EOF, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, ended},
			want: report.Loss{Pod: "ended", Guessed: true, Phase: "0.7 s after SIGTERM", Row: "D28"},
		},
		{
			name: "refused after the end: the proxies still had the pod",
			loss: report.Loss{Sent: at(16.2), Lost: at(16.2), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, ended, draining},
			want: report.Loss{Pod: "ended", Guessed: true, Phase: "0.2 s after end", Row: "D1"},
		},
		{
			name: "refused by a pod that does not listen yet",
			loss: report.Loss{Sent: at(18), Lost: at(18), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, ended, starting},
			want: report.Loss{Pod: "starting", Guessed: true, Phase: "1.0 s after creation", Row: "U1"},
		},
		{
			name: "a pod without a probe is Ready before it listens",
			loss: report.Loss{Sent: at(18), Lost: at(18), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, unprobed}, listenDelay: 6 * time.Second,
			want: report.Loss{Pod: "unprobed", Guessed: true, Phase: "0.5 s after Ready", Row: "U1"},
		},
		{
			name: "a pod without a probe starts while another ends",
			loss: report.Loss{Sent: at(18), Lost: at(18), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{
				unprobed, {Name: "old", Created: at(-100), Ready: at(-90), Deleted: at(17.6), Signal: at(17.7), Ended: at(17.8), ExitCode: new(int32(0))},
			}, listenDelay: 6 * time.Second,
			want: report.Loss{Pod: "unprobed", Guessed: true, Phase: "0.5 s after Ready", Row: "U1"},
		},
		{
			name: "a pod without a probe listens when its start is over",
			loss: report.Loss{Sent: at(24), Lost: at(24), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, ended, unprobed}, listenDelay: 6 * time.Second,
			want: report.Loss{Pod: "ended", Guessed: true, Phase: "8.0 s after end", Row: "D1"},
		},
		{
			name: "a pod that does not listen yet closes no connection",
			loss: report.Loss{Sent: at(18), Lost: at(18), Class: load.EOF, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, ended, unprobed}, listenDelay: 6 * time.Second,
			want: report.Loss{Pod: "ended", Guessed: true, Phase: "2.0 s after end", Row: "D16"},
		},
		{
			name: "a pod with a probe serves when it is Ready",
			loss: report.Loss{Sent: at(18), Lost: at(18), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, ended, {Name: "probed", Created: at(11), Ready: at(17.5)}},
			want: report.Loss{Pod: "ended", Guessed: true, Phase: "2.0 s after end", Row: "D1"},
		},
		{
			name: "no pod at all",
			loss: report.Loss{Sent: at(60), Lost: at(60), Class: load.Refused, ServerState: report.NeverSeen},
			pods: []report.Pod{ended},
			want: report.Loss{Row: "U6"},
		},
		{
			name: "a proxy that has no pod to forward to",
			loss: report.Loss{Sent: at(11), Lost: at(11), Class: load.ServerError, ServerState: report.NeverSeen},
			pods: []report.Pod{serving, draining},
			want: report.Loss{Pod: "draining", Guessed: true, Phase: "1.0 s after deletion", Row: "D4"},
		},
		{
			name: "no row fits",
			loss: report.Loss{Sent: at(5), Lost: at(6), Class: load.Other, ServerState: report.NeverSeen},
			pods: []report.Pod{serving},
			want: report.Loss{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := attribute(lostRequest{Loss: tt.loss, keepAlive: tt.keepAlive, listenDelay: tt.listenDelay}, tt.pods)
			short := report.Loss{Pod: got.Pod, Guessed: got.Guessed, Phase: got.Phase, Row: got.Row}
			if diff := cmp.Diff(tt.want, short); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLossMessage(t *testing.T) {
	for want, record := range map[string]load.Record{
		"EOF": {Error: "EOF"},
		"EOF; the connection had been idle for 4.0 s": {Error: "EOF", Idle: 4 * time.Second},
		"the connection had been idle for 0.1 s":      {Idle: 100 * time.Millisecond},
	} {
		if got := lossMessage(record); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

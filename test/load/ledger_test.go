package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLedgerCounts(t *testing.T) {
	l := NewLedger()
	l.Add(Record{Outcome: Answered, Latency: time.Millisecond})
	l.Add(Record{Outcome: Answered, Latency: time.Second, Late: LateAfter + 1})
	l.Add(Record{Outcome: Answered, Latency: time.Second, Late: LateAfter, Moved: true})
	l.Add(Record{Outcome: Lost, Latency: Timeout})
	l.Add(Record{Outcome: Cancelled})
	l.Add(Record{Outcome: Rejected})
	want := Count{Requests: 6, Answered: 3, Lost: 1, Cancelled: 1, Rejected: 1, Late: 1, Moved: 1}
	if diff := cmp.Diff(want, l.Total()); diff != "" {
		t.Error(diff)
	}
	if n := len(l.Records()); n != 6 {
		t.Errorf("%d records, want 6", n)
	}
}

func TestLedgerLatency(t *testing.T) {
	l := NewLedger()
	for ms := 1; ms <= 1000; ms++ {
		l.Add(Record{Outcome: Answered, Latency: time.Duration(ms) * time.Millisecond})
	}
	l.Add(Record{Outcome: Lost, Latency: Timeout}) // the latency of a lost request does not count
	got := l.Latency()
	for _, q := range []struct {
		name      string
		got, want time.Duration
	}{
		{name: "p50", got: got.P50, want: 500 * time.Millisecond}, {name: "p99", got: got.P99, want: 990 * time.Millisecond},
		{name: "p99.9", got: got.P999, want: 999 * time.Millisecond}, {name: "max", got: got.Max, want: time.Second},
	} {
		if off := (q.got - q.want).Abs(); off > q.want/500 {
			t.Errorf("%s is %s, want %s to three digits", q.name, q.got, q.want)
		}
	}
}

func TestLedgerTakesLatenciesBeyondItsRange(t *testing.T) {
	l := NewLedger()
	l.Add(Record{Outcome: Answered, Latency: time.Hour})
	l.Add(Record{Outcome: Answered, Latency: -time.Microsecond}) // the clock readings of Sent and due may cross
	if n := l.Total().Answered; n != 2 {
		t.Errorf("%d answered, want 2", n)
	}
}

func TestSecondsAreOrderedBySending(t *testing.T) {
	zero := time.Unix(1_700_000_000, 0).UTC()
	got := Seconds([]Record{
		{Sent: zero.Add(2500 * time.Millisecond), Outcome: Answered},
		{Sent: zero.Add(100 * time.Millisecond), Outcome: Lost, Latency: 5 * time.Second}, // ended last, was sent first
		{Sent: zero.Add(999 * time.Millisecond), Outcome: Answered},
	})
	want := []Second{
		{zero, Count{Requests: 2, Answered: 1, Lost: 1}},
		{zero.Add(2 * time.Second), Count{Requests: 1, Answered: 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLedgerLinesStayShort(t *testing.T) {
	for _, tc := range []struct {
		name string
		id   func(i int) string
	}{
		{"many numbers of one prefix", func(i int) string { return fmt.Sprintf("aware/new@node-1-%d", 100_000_000+i) }},
		{"many prefixes", func(i int) string { return fmt.Sprintf("client-%d-1", i) }},
		{"many words", func(i int) string { return fmt.Sprintf("word %d", i) }},
		{"long words of which JSON escapes each byte", func(i int) string { return strings.Repeat("\x01", maxID-5) + fmt.Sprintf("%05x", i) }},
		{"long prefixes of which JSON escapes each byte", func(i int) string {
			return strings.Repeat("\x01", maxID-8) + fmt.Sprintf("%05x-%d", i, i%10)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			l := newLedger(&out)
			want := map[string]int{}
			for i := range 5_000 {
				l.begin(tc.id(i))
				l.finish(tc.id(i))
				want[tc.id(i)]++
			}
			l.end()
			begun, finished, ended := readLedger(t, out.String()) // checks the lengths
			if !maps.Equal(begun, want) || !maps.Equal(finished, want) || !ended {
				t.Errorf("%d begun, %d finished, ended %v; want all %d", len(begun), len(finished), ended, len(want))
			}
		})
	}
}

func TestLedgerWritesAtMostOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out syncBuffer
		l := newLedger(&out)
		for i := range 2_000 { // a second
			l.begin(fmt.Sprintf("a-%d", i))
			l.finish(fmt.Sprintf("a-%d", i))
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(ledgerInterval)
		log := out.String()
		if n := strings.Count(log, "\n"); n > 11 {
			t.Errorf("%d lines in a second, want at most one each %s", n, ledgerInterval)
		}
		for text := range strings.Lines(log) {
			if len(text) > 3_000 {
				t.Errorf("%d bytes for 200 requests, want at most 3,000", len(text))
			}
		}
		time.Sleep(time.Minute)
		if out.String() != log {
			t.Error("wrote a line without a record")
		}
		l.end()
	})
}

// blockedWriter is a log that has no reader until released is closed.
type blockedWriter struct{ released chan struct{} }

func (s blockedWriter) Write(p []byte) (int, error) {
	<-s.released
	return len(p), nil
}

func TestLedgerIsBoundedAndCountsMissingRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := blockedWriter{released: make(chan struct{})}
		l := newLedger(out)
		l.begin("first-1")
		time.Sleep(ledgerInterval) // the write of its line blocks now
		synctest.Wait()
		for i := range maxPending + 10 { // a blocked ledger does not block a request
			l.begin(fmt.Sprintf("a-%d", i))
		}
		if l.pending.count != maxPending {
			t.Errorf("%d kept, want %d", l.pending.count, maxPending)
		}
		close(out.released)
		synctest.Wait()
		var rest bytes.Buffer
		l.writing.Lock()
		l.out = &rest
		l.writing.Unlock()
		l.end()
		if want := `"ledger":1,"end":true,"missing":10}` + "\n"; !strings.HasSuffix(rest.String(), want) {
			t.Errorf("last line %q, want …%q", rest.String()[max(0, rest.Len()-100):], want)
		}
	})
}

func FuzzLedgerKeepsAnyID(f *testing.F) {
	for _, id := range []string{"a-7", "-", "a-07", "\"-1", "<&>\u2028-3", "é-9"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		var out bytes.Buffer
		l := newLedger(&out)
		l.finish(id)
		l.begin(id)
		recorded := l.pending.count > 0
		l.end()
		begun, finished, _ := readLedger(t, out.String())
		if recorded && (begun[id] != 1 || finished[id] != 1) || !recorded && len(begun) != 0 {
			t.Errorf("%q: begun %v, finished %v", id, begun, finished)
		}
	})
}

// BenchmarkLedger measures the cost of a request that is begun and finished, with its share of the lines at 2,000 requests per second.
func BenchmarkLedger(b *testing.B) {
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("aware/keep-alive@node-%d#2026-01-02T15:04-%d", i%5, 1_000_000+i)
	}
	l := newLedger(io.Discard)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.begin(ids[i%len(ids)])
		l.finish(ids[i%len(ids)])
		if i%200 == 199 {
			l.write()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*2_000/1e9*100, "%cpu@2000/s")
}

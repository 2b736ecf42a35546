package main

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The request ledger records each request that has an id. The lab compares it with the clients' records: that shows which requests
// did not reach the server, which requests the server began and did not finish, and which responses did not reach the client.
//
// A request's id is its X-Request-Id header. In a WebSocket message that begins with `id=`, the id is the rest of the message.
// The process writes lines like these to stdout, among those of its log:
//
//	{"time":"2026-01-02T15:04:05.123456789Z","ledger":1,"begun":{"aware/new@node-1":[17,18]},"finished":{"aware/new@node-1":[15]}}
//	{"time":"2026-01-02T15:04:05.123456789Z","ledger":1,"begun":{"a word":[]},"finished":{"a word":[]}}
//	{"time":"2026-01-02T15:04:09.123456789Z","ledger":1,"end":true}
//
//	ledger    the version of this format
//	begun     the request has come: its handler runs
//	finished  the handler has returned after it had written the whole answer, and the client was still there
//	end       the last line of a process that exits by itself: the ledger is complete, and a request that is not finished was cut short.
//	          A ledger without it is of a killed process, and at most the last ledgerInterval is missing
//	missing   beside end, only if it is not 0: how many begun and finished were not written since too many of them waited
//
// An id PREFIX-NUMBER stands as NUMBER in the list of PREFIX; the last '-' separates, and NUMBER has up to 15 digits, the first of them
// not 0 unless it is the only one. An id of another form stands for itself, with an empty list, in a line without numbers. An id may
// come more than once. It is begun in the same line as it is finished, or in an earlier one. Ids of more than maxID bytes, and ids that are
// not UTF-8, are not recorded: any client chooses its ids.
const (
	// ledgerInterval is the time between two lines. A killed process loses at most the records of one interval. At 2,000 requests per second a
	// line has less than 3 KB.
	ledgerInterval = 100 * time.Millisecond
	// maxID in bytes; a UUID has 36, a name of the lab with its number 50.
	maxID = 128
	// maxDigits of a number: readers that hold numbers as float64 keep those below 2^53, about 9e15, exactly.
	maxDigits = 15
	// maxPending bounds the records that wait for the next line to several MB: 30 s of 1,000 requests per second while the container runtime
	// does not read the log.
	maxPending = 60_000
)

// ledger collects ids and writes them, at most once in ledgerInterval.
type ledger struct {
	mu      sync.Mutex
	pending batch
	missing int
	// writeScheduled tells that a timer will call write.
	writeScheduled bool
	ended          bool

	writing sync.Mutex // held while lines are written, so that they come in order; before mu
	out     io.Writer
}

func newLedger(out io.Writer) *ledger { return &ledger{out: out} }

// batch holds the records since the last line.
type batch struct {
	begun, finished ids
	count           int
}

// ids are the ids of one kind of record: the numbers by their prefixes, and the ids of another form.
type ids struct {
	numbers map[string][]uint64
	words   []string
}

func (l *ledger) begin(id string)  { l.record(id, &l.pending.begun) }
func (l *ledger) finish(id string) { l.record(id, &l.pending.finished) }

func (l *ledger) record(id string, to *ids) {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return
	case l.pending.count >= maxPending:
		l.missing++
		return
	}
	to.add(id)
	l.pending.count++
	if !l.writeScheduled {
		l.writeScheduled = true
		time.AfterFunc(ledgerInterval, l.write)
	}
}

// add clones the strings that it stores: a header's value shares its memory with all headers of the request.
func (i *ids) add(id string) {
	prefix, n, ok := cutNumber(id)
	if !ok {
		i.words = append(i.words, strings.Clone(id))
		return
	}
	if _, known := i.numbers[prefix]; !known {
		if i.numbers == nil {
			i.numbers = map[string][]uint64{}
		}
		prefix = strings.Clone(prefix)
	}
	i.numbers[prefix] = append(i.numbers[prefix], n)
}

func cutNumber(id string) (prefix string, n uint64, ok bool) {
	at := strings.LastIndexByte(id, '-')
	digits := id[at+1:]
	if at < 0 || digits == "" || len(digits) > maxDigits || digits[0] == '0' && len(digits) > 1 {
		return "", 0, false
	}
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return "", 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return id[:at], n, err == nil
}

// write writes the pending records.
func (l *ledger) write() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	p := l.pending
	l.pending, l.writeScheduled = batch{}, false
	l.mu.Unlock()
	p.writeTo(&lineWriter{out: l.out, time: time.Now()})
}

func (p *batch) writeTo(b *lineWriter) {
	fields := []struct {
		name string
		ids  ids
	}{{"begun", p.begun}, {"finished", p.finished}}
	for _, f := range fields {
		for _, prefix := range slices.Sorted(maps.Keys(f.ids.numbers)) {
			b.add(f.name, prefix, f.ids.numbers[prefix])
		}
	}
	b.flush() // a line has either numbers or words
	for _, f := range fields {
		for _, word := range f.ids.words {
			b.add(f.name, word, nil)
		}
	}
	b.flush()
}

// end writes the last line and stops recording.
func (l *ledger) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.write()
	l.writing.Lock()
	defer l.writing.Unlock()
	(&lineWriter{out: l.out, time: time.Now()}).end(l.missing)
}

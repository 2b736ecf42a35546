package main

import (
	"encoding/json"
	"io"
	"strconv"
	"time"
)

// maxLine is the length in bytes from which on a line gets no further number or key. Container runtimes split lines of more than 16 KiB
// (containerd's max_container_log_line_size; Docker's and CRI-O's buffers are as long). The last number or key may exceed maxLine, and JSON
// escapes a byte of a key with up to six.
const maxLine = 16<<10 - 8*maxID

// lineWriter writes the lines of a ledger. It does not use a JSON encoder, which takes twice the time and does not tell when a line is full.
type lineWriter struct {
	out   io.Writer
	time  time.Time
	buf   []byte
	field string // the open JSON object, such as `"begun":{…`
}

// add writes key and numbers, on more than one line if need be.
func (b *lineWriter) add(field, key string, numbers []uint64) {
	quoted, _ := json.Marshal(key) // a string cannot fail
	b.open(field, quoted)
	for i, n := range numbers {
		switch {
		case i == 0: // an empty list would mean a word
		case len(b.buf) > maxLine:
			b.buf = append(b.buf, ']')
			b.flush()
			b.open(field, quoted)
		default:
			b.buf = append(b.buf, ',')
		}
		b.buf = strconv.AppendUint(b.buf, n, 10)
	}
	b.buf = append(b.buf, ']')
}

func (b *lineWriter) open(field string, key []byte) {
	if len(b.buf) > maxLine {
		b.flush()
	}
	b.head()
	switch {
	case b.field == field:
		b.buf = append(b.buf, ',')
	case b.field != "":
		b.buf = append(b.buf, '}')
		fallthrough
	default:
		b.buf = append(append(append(b.buf, `,"`...), field...), `":{`...)
	}
	b.field = field
	b.buf = append(append(b.buf, key...), ':', '[')
}

func (b *lineWriter) head() {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, `{"time":"`...)
		b.buf = b.time.UTC().AppendFormat(b.buf, time.RFC3339Nano)
		b.buf = append(b.buf, `","ledger":1`...)
	}
}

// flush writes the line in one piece: others write to the same stream.
func (b *lineWriter) flush() {
	if len(b.buf) == 0 {
		return
	}
	if b.field != "" {
		b.buf = append(b.buf, '}')
	}
	_, _ = b.out.Write(append(b.buf, '}', '\n')) // an error cannot be logged: the log is the same stream
	b.buf, b.field = b.buf[:0], ""
}

func (b *lineWriter) end(missing int) {
	b.head()
	b.buf = append(b.buf, `,"end":true`...)
	if missing > 0 {
		b.buf = strconv.AppendInt(append(b.buf, `,"missing":`...), int64(missing), 10)
	}
	b.flush()
}

package drain

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"
)

// rawHTTP2 is an HTTP/2 client without logic of its own: it still sends requests after a GOAWAY, and retries none.
type rawHTTP2 struct {
	t      *testing.T
	conn   net.Conn
	stream uint32
	frames chan frame
}

type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

// Frame types and a flag that only a client needs to know.
const (
	frameData     = 0
	frameSettings = 4
	flagEndStream = 1
	maxStream     = 1<<31 - 1
)

func (p *process) openHTTP2() *rawHTTP2 {
	c, err := p.dial(p.t.Context(), "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	h := &rawHTTP2{t: p.t, conn: c, stream: 1, frames: make(chan frame, 100)}
	go h.read()
	h.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	h.write([]byte{0, 0, 0, frameSettings, 0, 0, 0, 0, 0})
	return h
}

func (h *rawHTTP2) write(p []byte) {
	h.t.Helper()
	if _, err := h.conn.Write(p); err != nil {
		h.t.Fatal(err)
	}
}

func (h *rawHTTP2) read() {
	defer close(h.frames)
	for {
		head := make([]byte, frameHeaderBytes)
		if _, err := io.ReadFull(h.conn, head); err != nil {
			return
		}
		f := frame{kind: head[3], flags: head[4], stream: binary.BigEndian.Uint32(head[5:])}
		f.payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(h.conn, f.payload); err != nil {
			return
		}
		if f.kind == frameData || f.kind == frameHeaders || f.kind == frameGoAway {
			h.frames <- f
		}
	}
}

// ask sends a GET request and returns its stream. The header block uses HPACK's static table and literals (RFC 7541, appendix A).
func (h *rawHTTP2) ask(path string) uint32 {
	h.t.Helper()
	const methodGet, schemeHTTP, authority, pathName = 0x82, 0x86, 0x01, 0x04
	block := append([]byte{methodGet, schemeHTTP, authority, 5}, "hello"...)
	block = append(append(block, pathName, byte(len(path))), path...)
	head := []byte{0, 0, byte(len(block)), frameHeaders, flagEndStream | flagEndHeaders, 0, 0, 0, 0}
	stream := h.stream
	binary.BigEndian.PutUint32(head[5:], stream)
	h.stream += 2
	h.write(append(head, block...))
	return stream
}

func (h *rawHTTP2) wantAnswer(step string, stream uint32) {
	h.t.Helper()
	const status200 = 0x88
	f := <-h.frames
	if f.kind != frameHeaders || f.stream != stream || len(f.payload) == 0 || f.payload[0] != status200 {
		h.t.Fatalf("%s: got frame %+v, want the header of stream %d with status 200", step, f, stream)
	}
	for f.flags&flagEndStream == 0 {
		if f = <-h.frames; f.kind != frameData || f.stream != stream {
			h.t.Fatalf("%s: got frame %+v, want data of stream %d", step, f, stream)
		}
	}
}

func (h *rawHTTP2) wantGoAway(step string, last uint32) {
	h.t.Helper()
	f, open := <-h.frames
	if !open || f.kind != frameGoAway || len(f.payload) < 8 {
		h.t.Fatalf("%s: got frame %+v (connection open: %v), want GOAWAY", step, f, open)
	}
	if got, code := binary.BigEndian.Uint32(f.payload), binary.BigEndian.Uint32(f.payload[4:]); got != last || code != 0 {
		h.t.Errorf("%s: GOAWAY with last stream %d, code %d; want %d, 0", step, got, code, last)
	}
}

func (h *rawHTTP2) wantNothing(step string) {
	h.t.Helper()
	synctest.Wait()
	select {
	case f, open := <-h.frames:
		h.t.Errorf("%s: got frame %+v (connection open: %v), want none", step, f, open)
	default:
	}
}

func (h *rawHTTP2) wantEnd(step string) {
	h.t.Helper()
	if f, open := <-h.frames; open {
		h.t.Errorf("%s: got frame %+v, want the end", step, f)
	}
}

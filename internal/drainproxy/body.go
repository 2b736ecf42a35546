package drainproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// lingerTimeout is how long the proxy reads on after an early response, as nginx waits for a client by default. If it closed the connection before, the
// client's unread bytes would cause a reset, which can destroy the response.
const lingerTimeout = 5 * time.Second

// maxReadAhead is the size in bytes of a body that the proxy reads before the request waits or goes to the app. nginx keeps bodies of this size in memory.
const maxReadAhead = 16 << 10

// requestBody is the body of a request in HTTP/1. The app may answer before it has read the body. The rest of the body must not be read as another
// request, and net/http cannot skip it while the Transport reads. So the connection closes after such a response. Nil is a request without a body.
type requestBody struct {
	io.ReadCloser
	ahead  int64       // bytes to read ahead: the length of a small body
	ended  atomic.Bool // read to its end
	failed atomic.Bool // the client has sent a malformed body, or has left
}

// bodyOf lets the app answer before it has read the body of r.
func bodyOf(w http.ResponseWriter, r *http.Request) *requestBody {
	if r.ProtoMajor != 1 || r.ContentLength == 0 || isUpgrade(r) {
		return nil
	}
	// An error means that the writer cannot do it.
	_ = http.NewResponseController(w).EnableFullDuplex()
	body := &requestBody{ReadCloser: r.Body}
	if r.ContentLength > 0 && r.ContentLength <= maxReadAhead && r.Header.Get("Expect") == "" { // the app must see Expect before the client sends the body
		body.ahead = r.ContentLength
	}
	return body
}

// readAhead reads a small body. net/http cannot see that a client has left until it has read the body, and such a request would wait, and reach the app
// although the client may have sent it again.
func (b *requestBody) readAhead() error {
	if b == nil || b.ahead == 0 {
		return nil
	}
	data := make([]byte, b.ahead)
	if _, err := io.ReadFull(b, data); err != nil {
		return err
	}
	b.ReadCloser = io.NopCloser(bytes.NewReader(data))
	return nil
}

// Read notes how the body ends.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.ended.Store(true)
	case err != nil:
		b.failed.Store(true)
	}
	return n, err
}

// remains reports whether a part of the body has not been read.
func (b *requestBody) remains() bool { return b != nil && !b.ended.Load() }

// malformed reports whether the client is the cause of a request without a response.
func (b *requestBody) malformed() bool { return b != nil && b.failed.Load() }

// linger sends the response, and reads the rest of the body.
func (b *requestBody) linger(w http.ResponseWriter) {
	if !b.remains() {
		return
	}
	controller := http.NewResponseController(w)
	timer := time.AfterFunc(lingerTimeout, func() { _ = controller.SetReadDeadline(time.Unix(1, 0)) }) // a deadline in the past ends Read
	if w.Header().Get("Content-Length") == "" {
		return // net/http writes the last chunk when the handler has returned, and reads up to 256 KiB by itself
	}
	defer timer.Stop()
	if controller.Flush() == nil {
		_, _ = io.Copy(io.Discard, b)
	}
}

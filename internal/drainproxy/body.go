package drainproxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// lingerTimeout is how long the proxy reads on after an early response, as nginx waits for a client by default. If it closed the connection before, the
// client's unread bytes would cause a reset, which can destroy the response.
const lingerTimeout = 5 * time.Second

// requestBody is the body of a request in HTTP/1. The app may answer before it has read the body. The rest of the body must not be read as another
// request, and net/http cannot skip it while the Transport reads. So the connection closes after such a response. Nil is a request without a body.
type requestBody struct {
	io.ReadCloser
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
	return &requestBody{ReadCloser: r.Body}
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
	if controller.Flush() != nil {
		return
	}
	defer time.AfterFunc(lingerTimeout, func() { _ = controller.SetReadDeadline(time.Unix(1, 0)) }).Stop() // a deadline in the past ends Read
	_, _ = io.Copy(io.Discard, b)
}

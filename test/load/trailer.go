package load

import (
	"errors"
	"io"
	"net/http"
)

// TrailerName is the trailer of a request with trailers. The server sends it back as the trailer of its response.
const TrailerName = "X-Load-Trailer"

// trailerText is its value.
const trailerText = "complete"

var errNoTrailer = errors.New("the response has no trailer " + TrailerName)

// addTrailer gives a request a chunked body, which a trailer needs in HTTP/1, and a trailer.
func addTrailer(r *http.Request) {
	r.ContentLength = -1
	r.Trailer = http.Header{TrailerName: {trailerText}}
}

// trailedBody is a response body that fails at its end if the response has no trailer.
type trailedBody struct {
	io.ReadCloser
	response *http.Response
}

func (b *trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.response.Trailer.Get(TrailerName) != trailerText {
		err = errNoTrailer
	}
	return n, err
}

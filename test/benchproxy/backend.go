package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"
)

// largeBytes is the size of a large answer.
const largeBytes = 1 << 20

// serveBackend serves /small and /large over HTTP/1 and h2c until ctx is done.
func serveBackend(ctx context.Context, address string) error {
	large := bytes.Repeat([]byte("x"), largeBytes)
	mux := http.NewServeMux()
	mux.HandleFunc("/small", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello\n")) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large) })
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: time.Minute, Protocols: &http.Protocols{}}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// getTimeout is longer than the longest request that the samples declare.
const getTimeout = 2 * time.Minute

// get sends one GET request and returns the exit code. It is for `kubectl exec`: the image has no shell, curl or wget. A status other than 2xx
// is a failure.
func get(url string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(context.Background(), getTimeout)
	defer cancel()
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "hello get: %v\n", err)
		return exitUsage
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "hello get: %v\n", err)
		return exitFailed
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(stdout, resp.Body); err != nil {
		_, _ = fmt.Fprintf(stderr, "hello get: reading the response body: %v\n", err)
		return exitFailed
	}
	_, _ = fmt.Fprintf(stderr, "%s in %s\n", resp.Status, time.Since(start).Round(time.Millisecond))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return exitFailed
	}
	return exitOK
}

package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// probe returns nil if a component is ready. It is called often and must return quickly.
type probe func(ctx context.Context) error

const (
	probeInterval = 100 * time.Millisecond
	probeTimeout  = 2 * time.Second
)

// await calls the probe until it succeeds or the context is done.
func await(ctx context.Context, p probe) error {
	for {
		one, cancel := context.WithTimeout(ctx, probeTimeout)
		err := p(one)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(probeInterval):
		}
	}
}

// httpOK succeeds if the URL returns status 200. Without a CA file it does not verify the server's certificate: the server creates one at
// each start, and the connection uses the loopback device.
func httpOK(url, caFile string) probe {
	return func(ctx context.Context) error {
		config := &tls.Config{InsecureSkipVerify: caFile == ""} //nolint:gosec // see above
		if caFile != "" {
			pem, err := os.ReadFile(caFile)
			if err != nil {
				return err
			}
			config.RootCAs = x509.NewCertPool()
			config.RootCAs.AppendCertsFromPEM(pem)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, response.Status)
		}
		return nil
	}
}

// listens succeeds if a server accepts connections at the Unix socket.
func listens(socket string) probe {
	return func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

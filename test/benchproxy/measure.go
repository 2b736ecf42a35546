package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gracefulapp/gracefulapp/test/proc"
)

// newHistogram records from a microsecond to a minute, with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

// measure puts a load on a target.
func (o options) measure(ctx context.Context, t target, l load) (row, error) {
	address := t.url
	if l.HTTP2 {
		address = t.h2c
	}
	transport := newTransport(l)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	if err := send(ctx, client, address+l.Path); err != nil { // the first connection is not measured
		return row{}, err
	}
	before, err := t.usage()
	if err != nil {
		return row{}, err
	}
	begin := time.Now()
	all, err := closedLoop(ctx, client, address+l.Path, l.Connections, begin.Add(o.duration))
	if err != nil {
		return row{}, err
	}
	took := time.Since(begin)
	after, err := t.usage()
	r := row{
		Target: t.name, Load: l.Name, Connections: l.Connections, P50: float64(all.ValueAtQuantile(50)), P99: float64(all.ValueAtQuantile(99)),
		RequestsPerSec: float64(all.TotalCount()) / took.Seconds(), RSS: after.RSS,
	}
	if t.pid != 0 {
		r.CPUPer100k = (after.CPUSeconds - before.CPUSeconds) / float64(all.TotalCount()) * 100_000
	}
	return r, err
}

// usage returns what the proxy has used, zero without a proxy.
func (t target) usage() (proc.Usage, error) {
	if t.pid == 0 {
		return proc.Usage{}, nil
	}
	return proc.UsageOf(t.pid)
}

func newTransport(l load) *http.Transport {
	transport := &http.Transport{
		MaxConnsPerHost: l.Connections, MaxIdleConnsPerHost: l.Connections, DisableCompression: true, Protocols: &http.Protocols{},
	}
	transport.Protocols.SetHTTP1(!l.HTTP2)
	transport.Protocols.SetUnencryptedHTTP2(l.HTTP2)
	return transport
}

// closedLoop lets clients send, each its next request after the last answer, and returns their response times in microseconds.
func closedLoop(ctx context.Context, client *http.Client, address string, clients int, until time.Time) (*hdrhistogram.Histogram, error) {
	histograms, errs := make([]*hdrhistogram.Histogram, clients), make([]error, clients)
	var group sync.WaitGroup
	for i := range clients {
		histograms[i] = newHistogram()
		group.Go(func() {
			for begin := time.Now(); begin.Before(until) && errs[i] == nil; {
				errs[i] = send(ctx, client, address)
				now := time.Now()
				_ = histograms[i].RecordValue(max(1, now.Sub(begin).Microseconds())) // at most a minute, or the client would have failed
				begin = now
			}
		})
	}
	group.Wait()
	all := newHistogram()
	for _, h := range histograms {
		all.Merge(h)
	}
	return all, errors.Join(errs...)
}

func send(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// idle measures the memory of the proxies before any load.
func idle(targets []target) ([]row, error) {
	var rows []row
	for _, t := range targets {
		if t.pid == 0 {
			continue
		}
		used, err := t.usage()
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{Target: t.name, Load: "idle", RSS: used.RSS})
	}
	return rows, nil
}

// idleConnections are the numbers of kept connections with which the memory is measured.
var idleConnections = []int{1_000, 10_000}

// measureConnections opens connections to each proxy, sends a request on each, and keeps them.
func (o options) measureConnections(ctx context.Context, targets []target) ([]row, error) {
	var rows []row
	for _, t := range targets {
		if t.pid == 0 {
			continue
		}
		for _, n := range idleConnections {
			r, err := keep(ctx, t, n)
			if err != nil {
				return rows, fmt.Errorf("%s, %d kept connections: %w", t.name, n, err)
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func keep(ctx context.Context, t target, n int) (row, error) {
	var connections []net.Conn
	defer func() {
		for _, c := range connections {
			_ = c.Close()
		}
	}()
	host := t.url[len("http://"):]
	answer := make([]byte, 4096)
	for range n {
		c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", host)
		if err != nil {
			return row{}, err
		}
		connections = append(connections, c)
		if _, err := fmt.Fprintf(c, "GET /small HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
			return row{}, err
		}
		if _, err := c.Read(answer); err != nil {
			return row{}, err
		}
	}
	used, err := t.usage()
	return row{Target: t.name, Load: "kept connections", Connections: n, RSS: used.RSS}, err
}

// median returns the row with the median of each figure.
func median(rows []row) row {
	m := rows[0]
	of := func(figure func(row) float64) float64 {
		sorted := slices.SortedFunc(slices.Values(rows), func(a, b row) int { return cmp.Compare(figure(a), figure(b)) })
		return figure(sorted[len(sorted)/2])
	}
	m.P50, m.P99 = of(func(r row) float64 { return r.P50 }), of(func(r row) float64 { return r.P99 })
	m.RequestsPerSec, m.CPUPer100k = of(func(r row) float64 { return r.RequestsPerSec }), of(func(r row) float64 { return r.CPUPer100k })
	m.RSS = of(func(r row) float64 { return r.RSS })
	return m
}

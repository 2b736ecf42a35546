package drainproxy

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gracefulapp/gracefulapp/drain"
)

// metrics are the proxy's own. The registry has no metrics of the process or of Go: the pod's memory and CPU time are those of its containers.
type metrics struct {
	registry *prometheus.Registry
	requests prometheus.Counter
	failures *prometheus.CounterVec
}

func newMetrics(d *drain.Drainer, g *gate) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "drain_proxy_requests_total", Help: "Requests that were let through to the app.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "drain_proxy_failures_total",
			Help: "Requests without a complete response of the app, by cause: " + strings.Join(causes, ", ") + ".",
		}, []string{"cause"}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.registry.MustRegister(m.requests, m.failures,
		gauge("drain_proxy_in_flight", "Requests that have not ended.", func() float64 { n, _ := g.counts(); return float64(n) }),
		gauge("drain_proxy_held", "Requests that wait for the app's container or port.", func() float64 { _, n := g.counts(); return float64(n) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "drain_proxy_late_connections_total", Help: "Connections that brought their first request after t2.",
		}, func() float64 { return float64(d.Stats().Late) }),
	)
	for _, cause := range causes {
		m.failures.WithLabelValues(cause)
	}
	return m
}

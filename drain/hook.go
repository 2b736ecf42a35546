package drain

import (
	"fmt"
	"net/http"
	"time"
)

// PreStop returns the handler of an httpGet preStop hook. The kubelet sends SIGTERM as soon as the hook returns, so before SIGTERM each call blocks for all
// of t2, even when the server already drains: another client may have made the earlier call. SIGTERM ends a call in flight with status 503, and later calls
// get 503 at once. Meanwhile the server answers every request, also that of a readiness probe. If no SIGTERM follows, the only effect is that clients lose
// keep-alive until t3 has passed (Config.TerminationGracePeriod).
//
// Serve it on a port that the Service does not target, so that no client of the Service can call it. Serve that port, with its probes and metrics, by a
// plain http.Server, which may end with the process, after Serve has returned (see the example). Under Serve it would close its listener at the same time as
// the app's server, and each new connection that brings a scrape after SIGTERM would prolong the time in which both accept connections, up to t1 - R. The
// kubelet's probes do not prolong it, on any port.
//
// Idle HTTP/1 connections stay open: the client may be sending a request at this moment. The response to a request that comes within t2 closes the
// connection. After SIGTERM the server closes the connections that are still idle.
func (d *Drainer) PreStop() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.beginDrain("client", r.RemoteAddr)
		hold := time.NewTimer(d.config.PreStop)
		defer hold.Stop()
		select {
		case <-hold.C:
			d.log.Info("drained", d.Stats().attrs()...)
			_, _ = fmt.Fprintln(w, "drained")
		case <-d.stopping: // SIGTERM did not wait for the hook: a shorter grace period, or no kubelet
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		case <-r.Context().Done():
		}
	})
}

// Begin begins the drain, as a call of the hook does, and returns at once. It is for a program that learns of its pod's end in another way than by an
// httpGet hook that blocks for t2.
func (d *Drainer) Begin() { d.beginDrain() }

func (d *Drainer) beginDrain(attrs ...any) {
	if d.extend() {
		d.sayGoodbye()
		d.log.Info("draining", append(append(d.Stats().attrs(), "preStopSeconds", d.config.PreStop.Seconds()), attrs...)...)
	}
}

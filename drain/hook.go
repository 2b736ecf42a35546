package drain

import (
	"fmt"
	"net/http"
	"time"
)

// PreStop returns the handler of an httpGet preStop hook. The kubelet sends SIGTERM as soon as the hook returns, so each call blocks for all of t2,
// even when the server already drains: another client may have made the earlier call. Meanwhile the server stays ready and answers every request. If no
// SIGTERM follows, the only effect is that clients lose keep-alive until t3 has passed (Config.TerminationGracePeriod).
//
// Serve it on a port that the Service does not target, so that no client of the Service can call it.
//
// Idle HTTP/1 connections stay open: the client may be sending a request at this moment. The response to a request that comes within t2 closes the
// connection. After SIGTERM the server closes the connections that are still idle.
func (d *Drainer) PreStop() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.extend() {
			d.sayGoodbye()
			d.log.Info("draining", append(d.Stats().attrs(), "client", r.RemoteAddr, "preStopSeconds", d.config.PreStop.Seconds())...)
		}
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

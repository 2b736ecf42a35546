package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// table formats the rows for a terminal. The added times are those beyond the direct connection in the same run.
func table(rows []row) string {
	direct := map[string]row{}
	for _, r := range rows {
		if r.Target == "direct" {
			direct[r.key()] = r
		}
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "load\tconnections\ttarget\tp50 us\tadded\tp99 us\tadded\trequests/s\tCPU s per 100,000\tMB")
	for _, r := range rows {
		if r.P50 == 0 {
			_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t\t\t\t\t\t\t%.1f\n", r.Load, r.Connections, r.Target, r.RSS)
			continue
		}
		d := direct[r.key()]
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%.0f\t%+.0f\t%.0f\t%+.0f\t%.0f\t%.1f\t%.1f\n", r.Load, r.Connections, r.Target,
			r.P50, r.P50-d.P50, r.P99, r.P99-d.P99, r.RequestsPerSec, r.CPUPer100k, r.RSS)
	}
	_ = w.Flush()
	return text.String()
}

func (r row) key() string { return fmt.Sprintf("%s/%d", r.Load, r.Connections) }

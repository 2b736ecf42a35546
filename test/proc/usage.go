// Package proc reads what a process has used, for the benchmarks.
package proc

import "github.com/prometheus/procfs"

// Usage is what a process has used.
type Usage struct {
	CPUSeconds float64 // user and system time since its start
	RSS        float64 // resident memory in MB now
	PeakRSS    float64 // highest resident memory in MB since its start
}

// UsageOf reads /proc.
func UsageOf(pid int) (Usage, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return Usage{}, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return Usage{}, err
	}
	status, err := proc.NewStatus()
	const megabyte = 1 << 20
	return Usage{CPUSeconds: stat.CPUTime(), RSS: float64(status.VmRSS) / megabyte, PeakRSS: float64(status.VmHWM) / megabyte}, err
}

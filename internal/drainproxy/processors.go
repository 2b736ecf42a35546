package drainproxy

import (
	"log/slog"
	"runtime"
)

// maxProcessors is GOMAXPROCS on a node with more cores. Go wakes an idle processor for each goroutine that gets ready, and that one looks for work at all others:
// see docs/performance.md.
const maxProcessors = 4

// processorsVariable is the variable by which Go lets the environment choose.
const processorsVariable = "GOMAXPROCS"

// BoundProcessors sets GOMAXPROCS, unless the environment or a CPU limit of the container has chosen it.
func BoundProcessors(env func(string) string, log *slog.Logger) {
	cores, before := runtime.NumCPU(), runtime.GOMAXPROCS(0)
	after := boundProcessors(cores, before, env(processorsVariable))
	if after == before {
		return // setting it would end Go's updates after a change of the limit
	}
	runtime.GOMAXPROCS(after)
	log.Info("bounded the processors", "cores", cores, "processors", after)
}

// boundProcessors returns the new GOMAXPROCS. Go chooses one below the number of cores if the container has a CPU limit. Pure.
func boundProcessors(cores, processors int, given string) int {
	if given != "" || processors < cores {
		return processors
	}
	return min(processors, maxProcessors)
}

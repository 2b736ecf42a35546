package children

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// parallel runs functions at the same time. A panic of one of them is repeated in the caller's goroutine, where controller-runtime recovers it. Otherwise
// it would end the operator for all apps.
func parallel(functions ...func()) {
	panics := make([]string, len(functions))
	var group sync.WaitGroup
	for i, function := range functions {
		group.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics[i] = fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
			}()
			function()
		})
	}
	group.Wait()
	for _, p := range panics {
		if p != "" {
			panic(p)
		}
	}
}

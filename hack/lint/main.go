// Lint is golangci-lint with kube-api-linter built in; the stock binary can only load it as a plugin.
package main

import (
	"os"
	"runtime"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	// Registers the linter kubeapilinter.
	_ "sigs.k8s.io/kube-api-linter"
)

func main() {
	// Version is golangci-lint's in go.mod. `run` rejects a configuration for a Go version newer than GoVersion.
	info := commands.BuildInfo{GoVersion: runtime.Version(), Version: "2.15.0", Commit: "kube-api-linter"}
	if err := commands.Execute(info); err != nil {
		os.Exit(exitcodes.Failure) // Execute has printed the error
	}
}

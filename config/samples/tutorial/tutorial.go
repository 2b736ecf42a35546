// Package tutorial contains the manifests of docs/tutorial.md, one for each step. The loss lab runs them.
package tutorial

import "embed"

// Files has the manifests. Their names begin with the number of the step.
//
//go:embed *.yaml
var Files embed.FS

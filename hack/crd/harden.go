package main

import (
	"math"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const (
	// maxInt64 is a round number below 2^63. A schema's maximum is a float64, and the float64 nearest to math.MaxInt64 is 2^63,
	// which Go cannot decode into an int64.
	maxInt64 = 9_000_000_000_000_000_000
	minInt64 = -maxInt64
	maxPort  = math.MaxUint16

	// maxNameLength bounds the text of an int-or-string. It is the length of a DNS label; names of ports and percentages are
	// shorter.
	maxNameLength = 63

	// maxQuantityLength bounds the text of a quantity. An int64 has 19 digits, so there is room for a sign, a point and a suffix.
	maxQuantityLength = 32

	// maxPods bounds a number of pods. The Deployment's controller adds maxSurge to the replicas in 32 bits, and after an overflow no rollout
	// would begin.
	maxPods = 1_000_000

	// quantityPattern matches only texts that resource.ParseQuantity parses quickly. controller-gen's pattern also matches a
	// fraction as the exponent (1e1.5), which ParseQuantity rejects, and long exponents: 1e2147483648 takes it hours.
	quantityPattern = `^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?$`

	// timePattern matches the times that time.Parse reads as RFC 3339. The API server's format date-time also accepts a time
	// without a zone.
	timePattern = `^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$`
)

// percentages are the texts that a Deployment's strategy reads, by the field's name. More than all pods cannot be missing.
var percentages = map[string]string{
	"maxSurge":       `^(0|[1-9][0-9]{0,3})%$`,
	"maxUnavailable": `^(100|[1-9]?[0-9])%$`,
}

// harden adds bounds to every node that admits JSON values which the Go types cannot decode. It keeps narrower bounds.
func harden(schema *apiextensionsv1.JSONSchemaProps) {
	walk("", schema, func(path string, node *apiextensionsv1.JSONSchemaProps) {
		switch {
		// Before quantities: once hardened, these have a pattern too.
		case node.XIntOrString && percentages[nameOf(path)] != "":
			bound(node, 0, maxPods)
			node.MaxLength = new(int64(maxNameLength))
			node.Pattern = percentages[nameOf(path)]
		case isQuantity(node):
			bound(node, minInt64, maxInt64)
			node.MaxLength = new(int64(maxQuantityLength))
			node.Pattern = quantityPattern
		case node.XIntOrString && isPort(path):
			bound(node, 0, maxPort)
			node.MaxLength = new(int64(maxNameLength))
		case node.XIntOrString:
			bound(node, math.MinInt32, math.MaxInt32)
			node.MaxLength = new(int64(maxNameLength))
		// The API server rejects values that overflow these two formats, but its documentation does not say so.
		case node.Type == "integer" && node.Format == "int32":
			bound(node, math.MinInt32, math.MaxInt32)
		case node.Type == "integer":
			bound(node, minInt64, maxInt64)
		case node.Type == "string" && node.Format == "date-time":
			node.Pattern = timePattern
		}
		if node.Type == "string" && node.Format != "" {
			refuseLists(node)
		}
	})
}

// refuseLists excludes lists from a string with a format. The API server does not check the type of such a node: its typeValidator
// accepts `lastTransitionTime: []`. No list has both at least one item and at most none, and the bounds do not apply to strings.
func refuseLists(node *apiextensionsv1.JSONSchemaProps) {
	node.MinItems, node.MaxItems = new(int64(1)), new(int64(0))
}

// isQuantity reports whether the node is a resource.Quantity, not an intstr.IntOrString: only a quantity has a pattern.
func isQuantity(node *apiextensionsv1.JSONSchemaProps) bool {
	return node.XIntOrString && node.Pattern != ""
}

// isPort reports by its name whether an int-or-string is a port. Others are, for instance, counts that may be percentages.
func isPort(path string) bool {
	name := nameOf(path)
	return name == "port" || strings.HasSuffix(name, "Port")
}

func nameOf(path string) string { return path[strings.LastIndex(path, ".")+1:] }

func bound(node *apiextensionsv1.JSONSchemaProps, minimum, maximum float64) {
	if node.Minimum == nil || *node.Minimum < minimum {
		node.Minimum = &minimum
	}
	if node.Maximum == nil || *node.Maximum > maximum {
		node.Maximum = &maximum
	}
}

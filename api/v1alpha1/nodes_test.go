package v1alpha1_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// A node is a place in the schema; steps lead to it from the root. "[]" is the item of a list, "{}" the value of a map.
type node struct {
	steps  []string
	schema *apiextensionsv1.JSONSchemaProps
}

func (n node) String() string { return strings.Join(n.steps, ".") }

// nodes returns every node beneath steps, in the order of their names.
func nodes(steps []string, schema *apiextensionsv1.JSONSchemaProps) []node {
	var all []node
	next := func(step string, child *apiextensionsv1.JSONSchemaProps) {
		path := append(slices.Clone(steps), step)
		all = append(append(all, node{path, child}), nodes(path, child)...)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		next(name, &property)
	}
	if schema.Items != nil {
		next("[]", schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil {
		next("{}", schema.AdditionalProperties.Schema)
	}
	return all
}

// withValue returns the smallest document of a schema that has the value at the end of the steps.
func withValue(schema *apiextensionsv1.JSONSchemaProps, steps []string, value json.RawMessage) any {
	if len(steps) == 0 {
		return value
	}
	step, rest := steps[0], steps[1:]
	switch step {
	case "[]":
		return []any{withValue(schema.Items.Schema, rest, value)}
	case "{}":
		return map[string]any{"a": withValue(schema.AdditionalProperties.Schema, rest, value)}
	default:
		object := smallestObject(schema)
		property := schema.Properties[step]
		object[step] = withValue(&property, rest, value)
		return object
	}
}

// at returns the value at the end of the steps into a document.
func at(document any, steps []string) (any, bool) {
	for _, step := range steps {
		switch typed := document.(type) {
		case []any:
			if len(typed) == 0 {
				return nil, false
			}
			document = typed[0]
		case map[string]any:
			if step == "{}" {
				step = "a"
			}
			var found bool
			if document, found = typed[step]; !found {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return document, true
}

// smallestObject has the required properties only, and numbers so low that a harmless one fits every rule beside them.
func smallestObject(schema *apiextensionsv1.JSONSchemaProps) map[string]any {
	object := map[string]any{}
	for _, name := range schema.Required {
		property := schema.Properties[name]
		object[name] = harmless(&property)
		if property.Type == "integer" {
			object[name] = 1
		}
	}
	return object
}

// harmless returns a value that the schema of every node of its kind admits.
func harmless(schema *apiextensionsv1.JSONSchemaProps) any {
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Format == "date-time":
		return "2020-01-01T00:00:00Z"
	case schema.XIntOrString, schema.Type == "integer":
		return 100
	case schema.Type == "boolean":
		return true
	case schema.Type == "array":
		return []any{}
	case schema.Type == "object" && schema.AdditionalProperties != nil:
		return map[string]any{"a": harmless(schema.AdditionalProperties.Schema)}
	case schema.Type == "object":
		return smallestObject(schema)
	default:
		return "A"
	}
}

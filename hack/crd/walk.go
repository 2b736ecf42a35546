package main

import (
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// walk visits a node and all nodes below it, parents first, properties in the order of their names. A path reads
// ".spec.template.spec.containers[].name"; "[]" stands for the items of a list, "{}" for the values of a map.
func walk(path string, node *apiextensionsv1.JSONSchemaProps, visit func(path string, node *apiextensionsv1.JSONSchemaProps)) {
	visit(path, node)
	for _, name := range slices.Sorted(maps.Keys(node.Properties)) {
		property := node.Properties[name]
		walk(path+"."+name, &property, visit)
		node.Properties[name] = property
	}
	if node.Items != nil && node.Items.Schema != nil {
		walk(path+"[]", node.Items.Schema, visit)
	}
	if node.AdditionalProperties != nil && node.AdditionalProperties.Schema != nil {
		walk(path+"{}", node.AdditionalProperties.Schema, visit)
	}
}

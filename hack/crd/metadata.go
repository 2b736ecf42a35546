package main

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// completeMetadata adds the fields of metadata that controller-gen does not write: the object's name, and the creationTimestamp of embedded
// objects, which may be null.
func completeMetadata(schema *apiextensionsv1.JSONSchemaProps) {
	walk("", schema, func(path string, node *apiextensionsv1.JSONSchemaProps) {
		switch {
		case path == ".metadata":
			node.Properties = map[string]apiextensionsv1.JSONSchemaProps{"name": {Type: "string"}}
		case strings.HasSuffix(path, ".metadata") && isObjectMeta(node):
			node.Properties["creationTimestamp"] = apiextensionsv1.JSONSchemaProps{Type: "string", Format: "date-time", Nullable: true}
		}
	})
}

// isObjectMeta tells an embedded ObjectMeta from metadata of our own.
func isObjectMeta(node *apiextensionsv1.JSONSchemaProps) bool {
	_, ok := node.Properties["finalizers"]
	return ok
}

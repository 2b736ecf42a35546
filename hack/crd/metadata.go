package main

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// completeMetadata adds the metadata fields that controller-gen omits: the object's name, and the nullable creationTimestamp of embedded
// objects.
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

// isObjectMeta reports whether the node is an embedded ObjectMeta, not GracefulApp's own type for metadata.
func isObjectMeta(node *apiextensionsv1.JSONSchemaProps) bool {
	_, ok := node.Properties["finalizers"]
	return ok
}

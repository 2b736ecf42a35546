package v1alpha1_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// embedded are the fields of Kubernetes types. Their descriptions come from there too.
var embedded = []string{"spec.template", "spec.service.spec", "status.conditions"}

// TestExplain checks that the description of each of our fields names its unit and its default.
func TestExplain(t *testing.T) {
	data, err := os.ReadFile("../../config/crd/bases/apps.gracefulapp.dev_gracefulapps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	definition := apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(data, &definition); err != nil {
		t.Fatal(err)
	}
	schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	fields := 0
	for _, part := range []string{"spec", "status"} {
		fields += explained(t, part, schema.Properties[part])
	}
	if fields < 25 {
		t.Errorf("only %d fields were read", fields)
	}
}

func explained(t *testing.T, path string, schema apiextensionsv1.JSONSchemaProps) int {
	t.Helper()
	fields := 1
	text := schema.Description
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
	}
	name := path[strings.LastIndex(path, ".")+1:]
	if len(text) < 20 {
		t.Errorf("%s is not described: %q", path, text)
	}
	if strings.HasSuffix(name, "Seconds") && !says("in seconds") {
		t.Errorf("%s does not say its unit: %q", path, text)
	}
	if leaf := len(schema.Properties) == 0 && schema.AdditionalProperties == nil; strings.HasPrefix(path, "spec.") && leaf &&
		!says("Default:", "equired", "required", "Absent") {
		t.Errorf("%s does not name its default: %q", path, text)
	}
	if slices.Contains(embedded, path) {
		return fields
	}
	for name, property := range schema.Properties {
		fields += explained(t, path+"."+name, property)
	}
	return fields
}

package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type sample struct {
	Port     intstr.IntOrString   `json:"port"`
	Limits   corev1.ResourceList  `json:"limits"`
	Count    *int32               `json:"count"`
	Size     int64                `json:"size"`
	At       metav1.Time          `json:"at"`
	Bytes    []byte               `json:"bytes"`
	Names    []string             `json:"names"`
	Raw      runtime.RawExtension `json:"raw"`
	Duration metav1.Duration      `json:"duration"`
	Ratio    float64              `json:"ratio"`
	sampleInline
}

type sampleInline struct {
	Inlined int32 `json:"inlined"`
}

func TestUndecodable(t *testing.T) {
	type props = apiextensionsv1.JSONSchemaProps
	list := func(item props) props {
		return props{Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}}
	}
	dictionary := func(value props) props {
		return props{Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Schema: &value}}
	}
	for name, test := range map[string]struct {
		field  string
		schema props
		want   string // empty if harden makes the field decodable
	}{
		"bounds an int-or-string":                {field: "port", schema: props{XIntOrString: true}},
		"bounds a quantity":                      {field: "limits", schema: dictionary(props{XIntOrString: true, Pattern: "x"})},
		"bounds an int32":                        {field: "count", schema: props{Type: "integer", Format: "int32"}},
		"bounds an int64":                        {field: "size", schema: props{Type: "integer", Format: "int64"}},
		"bounds a time":                          {field: "at", schema: props{Type: "string", Format: "date-time"}},
		"bounds an inlined field":                {field: "inlined", schema: props{Type: "integer", Format: "int32"}},
		"takes a list of strings":                {field: "names", schema: list(props{Type: "string"})},
		"refuses an int32 that is wider":         {field: "count", schema: props{Type: "integer", Format: "int64"}, want: ".count (int32): integer without int32 bounds"},
		"refuses a quantity that has no pattern": {field: "limits", schema: dictionary(props{XIntOrString: true}), want: ".limits{} (resource.Quantity): quantity without bounds"},
		"refuses a time that has no format":      {field: "at", schema: props{Type: "string"}, want: ".at (v1.Time): time without pattern"},
		"refuses bytes":                          {field: "bytes", schema: props{Type: "string", Format: "byte"}, want: "bytes"},
		"refuses a list of other items":          {field: "names", schema: list(props{Type: "integer"}), want: ".names[] (string): not a string in the schema"},
		"refuses a node that admits anything":    {field: "names", schema: props{XPreserveUnknownFields: new(true)}, want: "admits anything"},
		"refuses a raw extension":                {field: "raw", schema: props{Type: "object"}, want: "has its own unmarshaler"},
		"refuses a duration":                     {field: "duration", schema: props{Type: "string"}, want: "has its own unmarshaler"},
		"refuses a kind without a rule":          {field: "ratio", schema: props{Type: "number"}, want: "no rule for this Go kind"},
		"ignores a field that Go does not have":  {field: "unknown", schema: props{Type: "object", XPreserveUnknownFields: new(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			root := props{Type: "object", Properties: map[string]props{test.field: test.schema}}
			harden(&root)
			err := errors.Join(undecodable("", &root, reflect.TypeFor[sample]())...)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("want %q, got %v", test.want, err)
			}
		})
	}
}

func TestUndecodableWithoutHardening(t *testing.T) {
	root := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"port": {XIntOrString: true},
		"at":   {Type: "string", Format: "date-time", Pattern: timePattern},
		"size": {Type: "integer", Format: "int64"},
	}}
	if errs := undecodable("", &root, reflect.TypeFor[sample]()); len(errs) != 3 {
		t.Errorf("want an error for each of 3 nodes, got %v", errs)
	}
}

package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var (
	intOrStringType = reflect.TypeFor[intstr.IntOrString]()
	quantityType    = reflect.TypeFor[resource.Quantity]()
	timeType        = reflect.TypeFor[metav1.Time]()
	objectMetaType  = reflect.TypeFor[metav1.ObjectMeta]()
)

// undecodable compares the schema with the Go type that decodes it, node by node. It returns an error for each node that admits a value
// which Go cannot decode: with one such object in etcd, no Go client can list the kind. A Go type without a rule here is an error too.
func undecodable(path string, node *apiextensionsv1.JSONSchemaProps, t reflect.Type) []error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if problem := undecodableNode(path, node, t); problem != "" {
		return []error{fmt.Errorf("%s (%s): %s", path, t, problem)}
	}
	var errs []error
	switch {
	case t == objectMetaType && path == ".metadata":
		// The API server itself decodes the object's own metadata into this type.
	case t.Kind() == reflect.Slice:
		errs = undecodable(path+"[]", node.Items.Schema, t.Elem())
	case t.Kind() == reflect.Map:
		errs = undecodable(path+"{}", node.AdditionalProperties.Schema, t.Elem())
	case t.Kind() == reflect.Struct && node.Type == "object":
		fields := jsonFields(t)
		for _, name := range slices.Sorted(maps.Keys(node.Properties)) {
			if field, known := fields[name]; known {
				property := node.Properties[name]
				errs = append(errs, undecodable(path+"."+name, &property, field)...)
			}
		}
	}
	return errs
}

// undecodableNode returns the problem of one node, without the nodes below it, or "".
func undecodableNode(path string, node *apiextensionsv1.JSONSchemaProps, t reflect.Type) string {
	switch {
	case node.XPreserveUnknownFields != nil && *node.XPreserveUnknownFields:
		return "admits anything (x-kubernetes-preserve-unknown-fields)"
	case node.Type == "string" && node.Format != "" && !refusesLists(node):
		return "a string with a format admits lists"
	case t == objectMetaType && path == ".metadata":
		return ""
	case hasUnmarshaler(t):
		return undecodableUnmarshaler(node, t)
	default:
		return undecodableKind(node, t)
	}
}

// undecodableUnmarshaler returns the problem of a node that decodes into a Go type with its own unmarshaler.
func undecodableUnmarshaler(node *apiextensionsv1.JSONSchemaProps, t reflect.Type) string {
	switch t {
	case intOrStringType:
		return unless(node.XIntOrString && within(node, math.MinInt32, math.MaxInt32), "int-or-string without int32 bounds")
	case quantityType:
		ok := node.XIntOrString && within(node, minInt64, maxInt64) && node.Pattern == quantityPattern && node.MaxLength != nil
		return unless(ok, "quantity without bounds")
	case timeType:
		return unless(node.Type == "string" && node.Format == "date-time" && node.Pattern == timePattern, "time without pattern")
	default:
		return "has its own unmarshaler, and hack/crd has no rule for the values that it rejects"
	}
}

// undecodableKind returns the problem of a node that encoding/json decodes by its Go kind.
func undecodableKind(node *apiextensionsv1.JSONSchemaProps, t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return unless(node.Type == "string", "not a string in the schema")
	case reflect.Bool:
		return unless(node.Type == "boolean", "not a boolean in the schema")
	case reflect.Int32:
		return unless(node.Type == "integer" && within(node, math.MinInt32, math.MaxInt32), "integer without int32 bounds")
	case reflect.Int64:
		return unless(node.Type == "integer" && within(node, minInt64, maxInt64), "integer without int64 bounds")
	case reflect.Slice:
		return unless(node.Type == "array" && node.Items != nil && t.Elem().Kind() != reflect.Uint8, "not a list in the schema, or bytes")
	case reflect.Map:
		ok := node.Type == "object" && node.AdditionalProperties != nil && node.AdditionalProperties.Schema != nil &&
			t.Key().Kind() == reflect.String
		return unless(ok, "not a map in the schema")
	case reflect.Struct:
		return unless(node.Type == "object", "not an object in the schema")
	default:
		return "no rule for this Go kind"
	}
}

// unless returns the problem unless ok.
func unless(ok bool, problem string) string {
	if ok {
		return ""
	}
	return problem
}

func within(node *apiextensionsv1.JSONSchemaProps, minimum, maximum float64) bool {
	return node.Minimum != nil && *node.Minimum >= minimum && node.Maximum != nil && *node.Maximum <= maximum
}

func refusesLists(node *apiextensionsv1.JSONSchemaProps) bool {
	return node.MinItems != nil && node.MaxItems != nil && *node.MinItems > *node.MaxItems
}

// hasUnmarshaler reports whether the type has an unmarshaler that encoding/json calls.
func hasUnmarshaler(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// jsonFields returns the types of a struct's fields by their JSON names, those of inlined structs included.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			for inlined, inlinedType := range jsonFields(field.Type) {
				fields[inlined] = inlinedType
			}
		case name != "" && name != "-":
			fields[name] = field.Type
		}
	}
	return fields
}

// Crd completes the CustomResourceDefinition that controller-gen has written, in four steps:
//
//   - Metadata: add the fields that controller-gen omits. A CEL rule can read metadata.name only if the schema has it, and the client
//     libraries before v0.34 wrote `creationTimestamp: null` into every template.
//   - Descriptions: keep GracefulApp's own, cut those of Kubernetes' embedded types to their first sentence. So client-side
//     `kubectl apply` can install the CRD, and `kubectl explain` still documents every field.
//   - Hardening: add bounds to every node that admits values which Go cannot decode. Without them one stored object (a probe's port
//     4294967297, a quantity 1e9999) makes every LIST of the kind fail, and the operator with it, for every app in the cluster.
//   - Proof: compare the schema with the Go types, node by node. A node that still admits such a value is an error.
//
// Usage: crd INPUT.yaml OUTPUT.yaml
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// scheme has the Go type of each kind.
var scheme = runtime.NewScheme()

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: crd INPUT.yaml OUTPUT.yaml")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "crd:", err)
		os.Exit(1)
	}
}

func init() {
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
}

func run(input, output string) error {
	raw, err := os.ReadFile(input)
	if err != nil {
		return err
	}
	completed, err := complete(raw)
	if err != nil {
		return fmt.Errorf("completing %s: %w", input, err)
	}
	return os.WriteFile(output, completed, 0o644)
}

// complete does all four steps on the YAML of a CRD.
func complete(raw []byte) ([]byte, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
		return nil, err
	}
	var errs []error
	for i := range crd.Spec.Versions {
		kind := schema.GroupVersionKind{Group: crd.Spec.Group, Version: crd.Spec.Versions[i].Name, Kind: crd.Spec.Names.Kind}
		object, err := scheme.New(kind)
		if err != nil {
			return nil, err
		}
		openAPI := crd.Spec.Versions[i].Schema.OpenAPIV3Schema
		completeMetadata(openAPI)
		shortenDescriptions(openAPI)
		harden(openAPI)
		errs = append(errs, undecodable("", openAPI, reflect.TypeOf(object).Elem())...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return marshal(crd)
}

// marshal writes the CRD as controller-gen does: with a document start and without the status.
func marshal(crd apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	body, err := yaml.Marshal(struct {
		APIVersion string                                       `json:"apiVersion"`
		Kind       string                                       `json:"kind"`
		Metadata   map[string]any                               `json:"metadata"`
		Spec       apiextensionsv1.CustomResourceDefinitionSpec `json:"spec"`
	}{
		APIVersion: crd.APIVersion,
		Kind:       crd.Kind,
		Metadata:   map[string]any{"name": crd.Name, "annotations": crd.Annotations},
		Spec:       crd.Spec,
	})
	return bytes.Join([][]byte{[]byte("---\n"), body}, nil), err
}

package children

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A GracefulApp has the pod fields of the newest Kubernetes. An older API server answers to the apply of a field that it does not have with code 500 and the text
// of structured-merge-diff: it begins with notTyped and lists the fields in random order.
const notTyped = "failed to create typed patch object ("

var unknownField = regexp.MustCompile(`(?m)(?:\): |^ +)\.(.+): field not declared in schema$`)

// asRejection returns the error of an apply. If the API server does not have some fields of the object, the result is a rejection of these fields.
func asRejection(err error, want *unstructured.Unstructured) error {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || !strings.HasPrefix(status.Status().Message, notTyped) {
		return err
	}
	var unknown field.ErrorList
	for _, m := range unknownField.FindAllStringSubmatch(status.Status().Message, -1) {
		unknown = append(unknown, &field.Error{
			Type: field.ErrorTypeForbidden, Field: m[1],
			Detail: "the API server does not have this field, which a newer version of Kubernetes has added; remove the field or upgrade the cluster",
		})
	}
	if len(unknown) == 0 {
		return err
	}
	slices.SortFunc(unknown, func(a, b *field.Error) int { return cmp.Compare(a.Field, b.Field) })
	return apierrors.NewInvalid(want.GroupVersionKind().GroupKind(), want.GetName(), unknown)
}

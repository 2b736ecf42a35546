package children

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestRandomName: the same rejection of a pod has the same text in each dry run, although the API server generates another name for each pod.
func TestRandomName(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := []struct {
		name         string
		app          string
		generateName string
		err          func(pod string) error
		prefix       string // of the generated name
		want         string
	}{
		{
			name: "forbidden", app: "hello", generateName: "hello-6b8d9c7f4b-", prefix: "hello-6b8d9c7f4b-",
			err: func(pod string) error {
				return apierrors.NewForbidden(corev1.Resource("pods"), pod, errors.New("minimum cpu usage per Container is 100m"))
			},
			want: `pods "hello" is forbidden: minimum cpu usage per Container is 100m`,
		},
		{
			name: "invalid", app: "hello", generateName: "hello-6b8d9c7f4b-", prefix: "hello-6b8d9c7f4b-",
			err: func(pod string) error {
				return apierrors.NewInvalid(podType, pod, field.ErrorList{field.Required(field.NewPath("spec"), "")})
			},
			want: `Pod "hello" is invalid: spec: Required value`,
		},
		{
			name: "a long name, which the API server cuts", app: long, generateName: long + "-6b8d9c7f4b-", prefix: long[:58],
			err: func(pod string) error {
				return apierrors.NewForbidden(corev1.Resource("pods"), pod, errors.New("no"))
			},
			want: `pods "` + long + `" is forbidden: no`,
		},
		{
			name: "an error about another object", app: "hello", generateName: "hello-6b8d9c7f4b-",
			err: func(string) error {
				return apierrors.NewNotFound(corev1.Resource("namespaces"), "team")
			},
			want: `namespaces "team" not found`,
		},
		{
			name: "no error of the API server", app: "hello", generateName: "hello-6b8d9c7f4b-",
			err: func(string) error { return errors.New("connection refused") }, want: "connection refused",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, random := range []string{"x2b4k", "9wzzt"} {
				err := fmt.Errorf("creating: %w", tt.err(tt.prefix+random))
				if got := withoutRandomName(err, tt.generateName, tt.app).Error(); strings.TrimPrefix(got, "creating: ") != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
			}
		})
	}
}

package children

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var (
	deployments    = schema.GroupResource{Group: "apps", Resource: "deployments"}
	deploymentType = schema.GroupKind{Group: "apps", Kind: deploymentKind}
	serviceType    = schema.GroupKind{Kind: serviceKind}
	podType        = schema.GroupKind{Kind: podKind}
)

func forbidden(reason string) *apierrors.StatusError {
	return apierrors.NewForbidden(deployments, "hello", errors.New(reason))
}

func invalidService(path, message string) *apierrors.StatusError {
	return apierrors.NewInvalid(serviceType, "hello", field.ErrorList{field.Invalid(field.NewPath("spec", path), "10.0.0.7", message)})
}

// terminating is the error of the admission plugin NamespaceLifecycle.
func terminating() error {
	err := forbidden("unable to create new content in namespace team because it is being terminated")
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: corev1.NamespaceTerminatingCause, Message: "namespace team is being terminated", Field: "metadata.namespace",
	})
	return err
}

// policyDenies is the error of a ValidatingAdmissionPolicy, which chooses one of four reasons.
func policyDenies(reason metav1.StatusReason, code int32) error {
	err := forbidden("ValidatingAdmissionPolicy 'images' with binding 'team' denied request: unknown registry")
	err.ErrStatus.Reason, err.ErrStatus.Code = reason, code
	return err
}

// webhookDenies is the error of an admission webhook, which chooses any reason and code of at least 400.
func webhookDenies(reason metav1.StatusReason, code int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Reason: reason, Code: code, Message: `admission webhook "images.example.com" denied the request: unknown registry`,
	}}
}

// webhookFails is the error of an admission webhook that does not answer.
func webhookFails() error {
	return apierrors.NewInternalError(errors.New(`failed calling webhook "images.example.com": failed to call webhook: ` +
		`Post "https://images.team.svc:443/?timeout=10s": dial tcp 10.96.0.9:443: connect: connection refused`))
}

// TestRejections has an error of each kind that the API server returns, in its own words (k8s.io/apiserver, and the admission plugins of
// k8s.io/kubernetes).
func TestRejections(t *testing.T) {
	const spec, retry, unknown = "is caused by the spec", "is transient", "is unknown"
	selector := validation.ValidateImmutableField(map[string]string{"app": "b"}, map[string]string{"app": "a"}, field.NewPath("spec", "selector"))
	tests := []struct {
		name string
		err  error
		want string
		// immutable is true for a change of an immutable field.
		immutable bool
	}{
		{name: "an invalid field", want: spec, err: apierrors.NewInvalid(deploymentType, "hello", field.ErrorList{
			field.Required(field.NewPath("spec", "template", "spec", "containers").Index(0).Child("image"), ""),
		})},
		{name: "another selector", want: spec, immutable: true, err: apierrors.NewInvalid(deploymentType, "hello", selector)},
		{name: "another cluster IP", want: spec, immutable: true, err: invalidService("clusterIPs", "may not change once set")},
		{name: "no cluster IP", want: spec, immutable: true, err: invalidService("clusterIPs", "primary clusterIP can not be unset")},
		{name: "another type for a headless Service", want: spec, immutable: true, err: invalidService("clusterIPs[0]", "may not be set to 'None' for NodePort services")},
		{name: "a node port of another Service", want: spec, err: invalidService("ports", "provided port is already allocated")},
		{name: "a value of another type", want: spec, err: apierrors.NewBadRequest("failed to create typed patch object")},
		{name: "a large object", want: spec, err: apierrors.NewRequestEntityTooLargeError("limit is 3145728")},

		{name: "Pod Security", want: spec, err: forbidden(`violates PodSecurity "restricted:latest": runAsNonRoot != true`)},
		{name: "a priority class that does not exist", want: spec, err: forbidden("no PriorityClass with name high was found")},
		{name: "a limit range", want: spec, err: forbidden("maximum cpu usage per Container is 1, but limit is 2")},
		{name: "an exceeded quota", want: retry, err: forbidden("exceeded quota: team, requested: cpu=2, used: cpu=1, limited: cpu=2")},
		{name: "a quota that is new", want: retry, err: forbidden("status unknown for quota: team, resources: cpu")},
		{
			name: "a service account that does not exist", want: retry,
			err: forbidden(`error looking up service account team/hello: serviceaccount "hello" not found`),
		},
		{name: "a terminating namespace", want: unknown, err: terminating()},
		{
			name: "no permission", want: unknown,
			err: forbidden(`User "system:serviceaccount:gracefulapp:manager" cannot patch resource "deployments" in API group "apps" in the namespace "team"`),
		},

		{name: "a policy", want: spec, err: policyDenies(metav1.StatusReasonInvalid, http.StatusUnprocessableEntity)},
		{name: "a policy that forbids", want: spec, err: policyDenies(metav1.StatusReasonForbidden, http.StatusForbidden)},
		{name: "a policy with the reason Unauthorized", want: spec, err: policyDenies(metav1.StatusReasonUnauthorized, http.StatusUnauthorized)},
		{name: "a webhook without a code", want: spec, err: webhookDenies("", http.StatusBadRequest)},
		{name: "a webhook that forbids", want: spec, err: webhookDenies(metav1.StatusReasonForbidden, http.StatusForbidden)},
		{name: "a webhook with the code of a conflict", want: spec, err: webhookDenies(metav1.StatusReasonConflict, http.StatusConflict)},
		{name: "a webhook with the code of a failure", want: spec, err: webhookDenies("", http.StatusInternalServerError)},
		{name: "a webhook that does not answer", want: unknown, err: webhookFails()},
		{
			name: "a webhook with side effects", want: unknown,
			err: apierrors.NewBadRequest(`admission webhook "audit.example.com" does not support dry run`),
		},

		{
			name: "another version of the object", want: unknown,
			err: apierrors.NewConflict(deployments, "hello", errors.New("the object has been modified; please apply your changes to the latest version and try again")),
		},
		{name: "a timeout", want: unknown, err: apierrors.NewTimeoutError("request did not complete within requested timeout", 0)},
		{name: "too many requests", want: unknown, err: apierrors.NewTooManyRequestsError("the server has received too many requests")},
		{name: "no connection", want: unknown, err: errors.New("dial tcp 10.96.0.1:443: connect: connection refused")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, err := range []error{tt.err, fmt.Errorf("applying Deployment hello: %w", tt.err)} {
				result := &DryRunResult{}
				result.add(plan.Plan{}, deploymentKind, err)
				got := unknown
				switch {
				case len(result.Errors) > 0:
					got = spec
				case strings.Contains(result.Warnings[0], "the operator will retry"):
					got = retry
				}
				if got != tt.want {
					t.Errorf("%v %s, want that it %s", err, got, tt.want)
				}
				if changesImmutable(err) != tt.immutable {
					t.Errorf("changesImmutable = %v, want %v", !tt.immutable, tt.immutable)
				}
			}
		})
	}
}

// TestFieldErrors checks that a rejection names the field of the GracefulApp and a correction.
func TestFieldErrors(t *testing.T) {
	p, errs, _ := plan.For(testapp.New(testapp.DrainSidecar), plan.Running{DrainProxy: plan.DrainProxy{Image: "proxy:1", Token: "T"}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	tests := []struct {
		name string
		kind string
		err  *apierrors.StatusError
		want []string
	}{
		{name: "a field", kind: deploymentKind, err: apierrors.NewInvalid(deploymentType, "hello", field.ErrorList{
			field.Required(field.NewPath("spec", "template", "spec", "containers").Index(0).Child("image"), ""),
		}), want: []string{"spec.template.spec.containers[0].image: Required value"}},
		{name: "an immutable field of a Service", kind: serviceKind, err: invalidService("clusterIPs", "may not change once set"), want: []string{
			`spec.service.spec.clusterIPs: Invalid value: "10.0.0.7": may not change once set; keep the value, or let the operator create the Service again`,
		}},
		{name: "no field", kind: deploymentKind, err: forbidden("no PriorityClass with name high was found"), want: []string{
			`spec.template: Forbidden: the API server rejects the Deployment: deployments.apps "hello" is forbidden: no PriorityClass with name high was found`,
		}},
		{name: "a quota that the drain sidecar does not satisfy", kind: podKind, err: forbidden("failed quota: team: must specify limits.cpu for: graceful-drain"), want: []string{
			`spec.drain.sidecar.resources: Forbidden: the API server rejects the Pod: deployments.apps "hello" is forbidden: failed quota: team: ` +
				`must specify limits.cpu for: graceful-drain; graceful-drain is the drain sidecar: set its limits.cpu in spec.drain.sidecar.resources`,
		}},
		{name: "the default limit of a LimitRange", kind: podKind, err: apierrors.NewInvalid(podType, "hello", field.ErrorList{
			field.Invalid(field.NewPath("spec", "containers").Index(0).Child("resources", "requests"), "50m", "must be less than or equal to cpu limit of 20m"),
		}), want: []string{
			`spec.template.spec.containers[0].resources.requests: Invalid value: "50m": must be less than or equal to cpu limit of 20m; the spec sets no cpu limit here`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := fieldErrors(p, tt.kind, tt.err.Status())
			if len(got) != len(tt.want) {
				t.Fatalf("errors %v, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i].Error(), want) {
					t.Errorf("error %q, want %q", got[i], want)
				}
			}
		})
	}
}

// TestOriginalName checks that an error of a dry run under another name shows the object's own name, and stays an error of the API server.
func TestOriginalName(t *testing.T) {
	const fresh = "hello" + dryRunSuffix
	rejected := apierrors.NewInvalid(serviceType, fresh, field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), fresh, "no")})
	err := withOriginalName(fmt.Errorf("applying: %w", rejected), fresh, "hello")
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		t.Fatalf("%v is no StatusError", err)
	}
	details := status.Status().Details
	if text := fmt.Sprint(err, details.Name, details.Causes); strings.Contains(text, fresh) || details.Name != "hello" {
		t.Errorf("%s still has the name %s", text, fresh)
	}
	if rejected.ErrStatus.Details.Name != fresh {
		t.Error("the given error has changed")
	}
	lost := errors.New("connection refused")
	if got := withOriginalName(lost, fresh, "hello"); !errors.Is(got, lost) {
		t.Errorf("got %v, want the same error", got)
	}
}

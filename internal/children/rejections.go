package children

import (
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// immutableMessages are the texts with which the API server rejects a change of an immutable field (ValidateImmutableField, ValidateServiceUpdate). It would
// accept the same value in a new object. The last one is for a headless Service that gets another type: the API server keeps its clusterIP None
// (patchAllocatedValues), which only the type ClusterIP may have.
var immutableMessages = []string{"field is immutable", "may not change once set", "can not be unset", "may not be set to 'None' for"}

func changesImmutable(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, isImmutable)
}

func isImmutable(cause metav1.StatusCause) bool {
	return slices.ContainsFunc(immutableMessages, func(words string) bool { return strings.Contains(cause.Message, words) })
}

// isTransient reports whether a rejection may end without a change of the spec. It often does within seconds, because GitOps tools apply the quota
// or the service account after the app.
func isTransient(err error) bool {
	message := err.Error()
	return apierrors.IsForbidden(err) && (strings.Contains(message, "exceeded quota") ||
		strings.Contains(message, "status unknown for quota") ||
		strings.Contains(message, "error looking up service account"))
}

// isCausedBySpec reports whether the API server rejects the spec. It is false if the request failed for another reason.
func isCausedBySpec(err error) bool {
	message := err.Error()
	switch {
	case isTransient(err), strings.Contains(message, "does not support dry run"):
		return false
	case apierrors.IsForbidden(err):
		// The namespace is terminating, or the operator lacks a permission.
		return !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) && !strings.Contains(message, "User \"system:serviceaccount:")
	}
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) || IsDenied(err)
}

// IsDenied reports whether an admission webhook or a ValidatingAdmissionPolicy denied the request. A webhook chooses any code, also that of a conflict, and
// a policy may choose 401 (Unauthorized). The words are those of ToStatusErr and of the policies' dispatcher in k8s.io/apiserver.
func IsDenied(err error) bool {
	message := err.Error()
	return strings.Contains(message, " denied the request") || strings.Contains(message, " denied request: ")
}

package testapp

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// EnableMutatingPolicies lets an API server older than Kubernetes 1.36 serve MutatingAdmissionPolicies: it has only their version v1beta1, behind a
// feature gate. A newer one accepts both settings, and the tests use v1.
func EnableMutatingPolicies(environment *envtest.Environment) {
	environment.ControlPlane.GetAPIServer().Configure().
		Append("feature-gates", "MutatingAdmissionPolicy=true").
		Append("runtime-config", "admissionregistration.k8s.io/v1beta1=true")
}

// servedPolicy returns a MutatingAdmissionPolicy, or its binding, in the version that the API server has: v1 since Kubernetes 1.36, v1beta1 before.
func servedPolicy(api client.Client, object client.Object) (client.Object, error) {
	gvk, err := api.GroupVersionKindFor(object)
	if err != nil {
		return nil, err
	}
	_, err = api.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if !meta.IsNoMatchError(err) {
		return object, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	older := &unstructured.Unstructured{Object: content}
	older.SetGroupVersionKind(gvk.GroupKind().WithVersion("v1beta1"))
	return older, err
}

// MinorVersion returns the minor version of the API server's Kubernetes, such as 34 for 1.34.
func MinorVersion(config *rest.Config) (int, error) {
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return 0, err
	}
	version, err := api.ServerVersion()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(version.Minor)
}

// NewerField sets a field of a volume that the API server of Kubernetes 1.34 does not have.
func NewerField(app *v1alpha1.GracefulApp) {
	certificate := &corev1.PodCertificateProjection{
		SignerName: "example.com/signer", KeyType: "ED25519", CredentialBundlePath: "bundle.pem", UserAnnotations: map[string]string{"example.com/a": "b"},
	}
	app.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "certificate", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{PodCertificate: certificate}}},
	}}}
}

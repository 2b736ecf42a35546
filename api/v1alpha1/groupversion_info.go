// Package v1alpha1 is the contract between GracefulApp and its users: the kind GracefulApp in the group
// apps.gracefulapp.dev.
//
// +kubebuilder:object:generate=true
// +groupName=apps.gracefulapp.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// SchemeGroupVersion is the group and version of every kind in this package. The files of new kinds, which kubebuilder writes, use this name.
	SchemeGroupVersion = schema.GroupVersion{Group: "apps.gracefulapp.dev", Version: "v1alpha1"}

	// GroupVersion is another name of SchemeGroupVersion, as in older layouts of Kubebuilder.
	GroupVersion = SchemeGroupVersion

	// SchemeBuilder collects the kinds of this package. The file of each kind registers it.
	SchemeBuilder = runtime.NewSchemeBuilder(addGroupVersion)

	// AddToScheme registers the kinds of this package.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addGroupVersion(scheme *runtime.Scheme) error {
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}

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
	// GroupVersion is the group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "apps.gracefulapp.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds of this package.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &GracefulApp{}, &GracefulAppList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

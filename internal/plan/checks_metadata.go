package plan

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var commonMetadataPath = specPath.Child("commonMetadata")

const (
	// deploymentAnnotations are written by the Deployment's controller (revision, desired-replicas). Two writers would overwrite each other again and again.
	deploymentAnnotations = "deployment.kubernetes.io/"
	// operatorAnnotations control how the operator or its admission policies treat one owned object.
	operatorAnnotations = "apps.gracefulapp.dev/"
)

// checkCommonMetadata validates keys and values as the API server does. Its own answer would name the metadata of an owned object, where the
// user may have written spec.service.metadata.
func checkCommonMetadata(in *input) field.ErrorList {
	common := in.spec().CommonMetadata
	errs := metav1validation.ValidateLabels(common.Labels, commonMetadataPath.Child("labels"))
	path := commonMetadataPath.Child("annotations")
	errs = append(errs, apivalidation.ValidateAnnotations(common.Annotations, path)...)
	for key := range common.Annotations {
		switch {
		case strings.HasPrefix(key, deploymentAnnotations), key == appsv1.DeprecatedRollbackTo: // the Deployment's controller obeys the latter
			errs = append(errs, field.Forbidden(path.Key(key), "the Deployment's controller writes it; leave it out"))
		case strings.HasPrefix(key, operatorAnnotations):
			errs = append(errs, field.Forbidden(path.Key(key), "it is for one object; annotate the GracefulApp or the owned object instead"))
		}
	}
	return sorted(errs)
}

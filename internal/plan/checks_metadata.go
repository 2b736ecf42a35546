package plan

import (
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var commonMetadataPath = specPath.Child("commonMetadata")

// deploymentAnnotations are written by the Deployment's controller (revision, desired-replicas): two writers of one would never end.
const deploymentAnnotations = "deployment.kubernetes.io/"

// checkCommonMetadata validates keys and values as the API server does. Its own answer would name the metadata of an owned object, where the
// user may have written spec.service.metadata.
func checkCommonMetadata(in *input) field.ErrorList {
	common := in.spec().CommonMetadata
	errs := metav1validation.ValidateLabels(common.Labels, commonMetadataPath.Child("labels"))
	path := commonMetadataPath.Child("annotations")
	errs = append(errs, apivalidation.ValidateAnnotations(common.Annotations, path)...)
	for key := range common.Annotations {
		if strings.HasPrefix(key, deploymentAnnotations) {
			errs = append(errs, field.Forbidden(path.Key(key), "the Deployment's controller writes it; leave it out"))
		}
	}
	return sorted(errs)
}

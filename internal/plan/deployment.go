package plan

import (
	"strconv"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// defaultRevisionHistoryLimit is a Deployment's own default.
const defaultRevisionHistoryLimit = 10

func deploymentConfiguration(
	in *input, template *corev1ac.PodTemplateSpecApplyConfiguration,
) *appsv1ac.DeploymentApplyConfiguration {
	history := int32(defaultRevisionHistoryLimit)
	if limit := in.spec().RevisionHistoryLimit; limit != nil {
		history = *limit
	}
	deployment := appsv1ac.Deployment(in.app.Name, in.app.Namespace).
		WithLabels(in.commonLabels()).
		WithAnnotations(in.commonAnnotations(map[string]string{v1alpha1.AnnotationDerivation: strconv.Itoa(int(in.version))})).
		WithOwnerReferences(in.ownerReference()).
		WithSpec(appsv1ac.DeploymentSpec().
			// Always sent: a Deployment without replicas falls back to 1.
			WithReplicas(in.replicas()).
			WithMinReadySeconds(in.timing.MinReadySeconds).
			WithProgressDeadlineSeconds(in.progressDeadlineSeconds()).
			WithRevisionHistoryLimit(history).
			WithSelector(in.selector()).
			WithStrategy(strategyConfiguration(in)).
			WithTemplate(template))
	// The API server drops a false, so the stored object would always differ from the applied one.
	if p := in.spec().Paused; p != nil && *p {
		deployment.Spec.WithPaused(true)
	}
	return deployment
}

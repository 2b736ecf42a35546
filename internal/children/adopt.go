package children

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// adopts tells whether the app's owner wants it to take over what bears its name and has no controller.
func adopts(app *v1alpha1.GracefulApp) bool {
	return app.Annotations[v1alpha1.AnnotationAdopt] == "true"
}

// obstacleTo adopting an object; "" if there is none. A Deployment's selector cannot change, and no more can the app's.
func obstacleTo(object client.Object, app *v1alpha1.GracefulApp) string {
	deployment, ok := object.(*appsv1.Deployment)
	if !ok {
		return ""
	}
	selector := deployment.Spec.Selector
	if selector != nil && len(selector.MatchExpressions) == 0 && maps.Equal(selector.MatchLabels, plan.SelectorLabels(app)) {
		return ""
	}
	return "its selector is " + metav1.FormatLabelSelector(selector) +
		", which cannot change; to adopt it, create the GracefulApp with these labels as spec.selector.matchLabels"
}

package children

import (
	"context"
	"fmt"
	"maps"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// The indexes of the cache. Without them, each reconcile would read all PodDisruptionBudgets and autoscalers of the namespace.
const (
	requiredLabelIndex = "requiredLabel"
	scaleTargetIndex   = "scaleTarget"
)

// IndexFields adds the indexes that Observe reads. Call it before the cache starts.
func IndexFields(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &policyv1.PodDisruptionBudget{}, requiredLabelIndex, func(object client.Object) []string {
		budget, ok := object.(*policyv1.PodDisruptionBudget)
		if !ok || budget.Spec.Selector == nil { // it selects no pod
			return nil
		}
		return []string{RequiredLabel(budget.Spec.Selector)}
	})
	if err != nil {
		return err
	}
	return indexer.IndexField(ctx, &autoscalingv2.HorizontalPodAutoscaler{}, scaleTargetIndex, func(object client.Object) []string {
		autoscaler, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
		if !ok || ScaledDeployment(autoscaler) == "" {
			return nil
		}
		return []string{ScaledDeployment(autoscaler)}
	})
}

// NoRequiredLabel is returned by RequiredLabel for a selector without matchLabels. It may select any pod.
const NoRequiredLabel = ""

// RequiredLabel returns one label, as KEY=VALUE, that every selected pod has: the first of the selector's matchLabels.
func RequiredLabel(selector *metav1.LabelSelector) string {
	if len(selector.MatchLabels) == 0 {
		return NoRequiredLabel
	}
	key := slices.Min(slices.Collect(maps.Keys(selector.MatchLabels)))
	return LabelKey(key, selector.MatchLabels[key])
}

// LabelKey returns a label as the indexes of labels have it.
func LabelKey(key, value string) string { return key + "=" + value }

// foreignDisruptionBudget returns the name of a PodDisruptionBudget of another owner that selects the app's pods: the one with the app's name, else the first by
// name, or "".
func foreignDisruptionBudget(ctx context.Context, reader client.Reader, app *v1alpha1.GracefulApp) (string, error) {
	pods := labels.Set(plan.PodLabels(app))
	keys := []string{NoRequiredLabel}
	for key, value := range pods {
		keys = append(keys, LabelKey(key, value))
	}
	found := ""
	isBefore := func(a, b string) bool { return b == "" || b != app.Name && (a == app.Name || a < b) }
	for _, key := range keys {
		budgets := &policyv1.PodDisruptionBudgetList{}
		err := reader.List(ctx, budgets, client.InNamespace(app.Namespace), client.MatchingFields{requiredLabelIndex: key},
			client.UnsafeDisableDeepCopy)
		if err != nil {
			return "", fmt.Errorf("listing PodDisruptionBudgets: %w", err)
		}
		for i := range budgets.Items {
			budget := &budgets.Items[i]
			if isForeignBudget(budget, app) && Selects(budget, pods) && isBefore(budget.Name, found) {
				found = budget.Name
			}
		}
	}
	return found, nil
}

// isForeignBudget reports whether a PodDisruptionBudget is of another owner, and stays so.
func isForeignBudget(budget *policyv1.PodDisruptionBudget, app *v1alpha1.GracefulApp) bool {
	if budget.Name == app.Name && plan.Adopts(app) && metav1.GetControllerOfNoCopy(budget) == nil && !protectsOthers(app, budget) {
		return false
	}
	return !plan.Owns(app, budget) && !isTerminating(budget, app)
}

// Selects reports whether a PodDisruptionBudget selects pods with the labels.
func Selects(budget *policyv1.PodDisruptionBudget, pods labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	// The API server rejects a selector that fails here. If one is stored nevertheless, it selects no pod.
	return err == nil && selector.Matches(pods)
}

// autoscalerOfDeployment returns the name of a HorizontalPodAutoscaler that targets the app's Deployment instead of the GracefulApp, the first by name,
// or "".
func autoscalerOfDeployment(ctx context.Context, reader client.Reader, app *v1alpha1.GracefulApp) (string, error) {
	all := &autoscalingv2.HorizontalPodAutoscalerList{}
	err := reader.List(ctx, all, client.InNamespace(app.Namespace), client.MatchingFields{scaleTargetIndex: app.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return "", fmt.Errorf("listing HorizontalPodAutoscalers: %w", err)
	}
	found := ""
	for i := range all.Items {
		if name := all.Items[i].Name; ScaledDeployment(&all.Items[i]) == app.Name && (found == "" || name < found) {
			found = name
		}
	}
	return found, nil
}

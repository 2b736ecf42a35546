package fuzz

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// foreignPrefix is that of the labels and annotations that other clients write onto owned objects.
const foreignPrefix = "example.com/"

func owned(choice int) client.Object { return ownedKinds()[choice%3] }

func deleteOwned(e *testEnv, choice int) error {
	object := owned(choice)
	object.SetNamespace(e.key.Namespace)
	object.SetName(appName)
	propagation := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground}[choice/3%2]
	return client.IgnoreNotFound(e.api.Delete(e.ctx, object, client.PropagationPolicy(propagation)))
}

func removeOwnerReference(e *testEnv, choice int) error {
	object := owned(choice)
	return e.edit(appName, object, func() { object.SetOwnerReferences(nil) })
}

// handOver gives an owned object to another controller.
func handOver(e *testEnv, choice int) error {
	object := owned(choice)
	return e.edit(appName, object, func() {
		object.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: "example.com/v1", Kind: "Third", Name: "third", UID: "3", Controller: new(true),
		}})
	})
}

func annotateOwned(e *testEnv, choice int) error {
	object := owned(choice)
	return e.edit(appName, object, func() {
		object.SetAnnotations(with(object.GetAnnotations(), foreignPrefix+"note", fmt.Sprint(choice)))
		object.SetLabels(with(object.GetLabels(), foreignPrefix+"team", fmt.Sprint(choice)))
	})
}

func with(all map[string]string, key, value string) map[string]string {
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	return all
}

// deploymentEdits overwrite derived fields.
var deploymentEdits = []func(d *appsv1.Deployment){
	func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 1 },
	func(d *appsv1.Deployment) { d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(7)) },
	func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "hello:0.0.1" },
	func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = nil },
	func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Lifecycle = nil },
	func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].StartupProbe = nil },
	func(d *appsv1.Deployment) { d.Spec.Template.Spec.TopologySpreadConstraints = nil },
	func(d *appsv1.Deployment) {
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	},
	func(d *appsv1.Deployment) { d.Spec.Paused = true },
	func(d *appsv1.Deployment) { d.Labels = nil },
	func(d *appsv1.Deployment) { d.Annotations = nil },
	func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "injected", Image: "injected:1"})
	},
	func(d *appsv1.Deployment) {
		c := &d.Spec.Template.Spec.Containers[0]
		c.Env = append([]corev1.EnvVar{{Name: "INJECTED", Value: "1"}}, c.Env...)
		c.Image = "hello:0.0.1"
	},
}

func editDeployment(e *testEnv, choice int) error {
	d := &appsv1.Deployment{}
	return e.edit(appName, d, func() { deploymentEdits[choice%len(deploymentEdits)](d) })
}

// appendTwice repeats an item of a list that has a key. The API server takes it, with a warning.
func appendTwice(e *testEnv, choice int) error {
	d := &appsv1.Deployment{}
	return e.edit(appName, d, func() {
		pod := &d.Spec.Template.Spec
		c := &pod.Containers[0]
		switch {
		case choice%3 == 0 && len(c.Env) > 0:
			c.Env = append(c.Env, c.Env[choice/3%len(c.Env)])
		case choice%3 == 1 && len(c.Ports) > 0:
			c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: c.Ports[0].ContainerPort}) // the API server refuses a name twice
		case len(pod.ImagePullSecrets) > 0:
			pod.ImagePullSecrets = append(pod.ImagePullSecrets, pod.ImagePullSecrets[0])
		}
	})
}

// applyByForce overwrites derived fields by server-side apply, as a GitOps tool does. It creates nothing.
func applyByForce(e *testEnv, choice int) error {
	if e.seen.deployment == nil {
		return nil
	}
	d := appsv1ac.Deployment(appName, e.key.Namespace).WithUID(e.seen.deployment.UID).WithLabels(map[string]string{foreignPrefix + "argocd": "1"}).
		WithSpec(appsv1ac.DeploymentSpec())
	switch choice % 3 {
	case 0:
		d.Spec.WithMinReadySeconds(2)
	case 1:
		d.Spec.WithReplicas(int32(choice % 5))
	case 2:
		d.Spec.WithTemplate(appsv1ac.DeploymentSpec().Template)
		d.Spec.Template = podTemplateOf(corev1ac.Container().WithName(appName).WithImage("hello:0.0.2"))
	}
	return e.api.Apply(e.ctx, d, client.FieldOwner("argocd"), client.ForceOwnership)
}

func podTemplateOf(c *corev1ac.ContainerApplyConfiguration) *corev1ac.PodTemplateSpecApplyConfiguration {
	return corev1ac.PodTemplateSpec().WithSpec(corev1ac.PodSpec().WithContainers(c))
}

// restartRollout writes the annotation that `kubectl rollout restart` writes.
func restartRollout(e *testEnv, choice int) error {
	d := &appsv1.Deployment{}
	return e.edit(appName, d, func() {
		d.Spec.Template.Annotations = with(d.Spec.Template.Annotations, restartedAt, fmt.Sprint(choice))
	})
}

const restartedAt = "kubectl.kubernetes.io/restartedAt"

func editService(e *testEnv, choice int) error {
	s := &corev1.Service{}
	return e.edit(appName, s, func() {
		switch choice % 5 {
		case 0:
			s.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
		case 1:
			s.Spec.Selector = map[string]string{"app": "other"}
		case 2:
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "extra", Port: 9090})
		case 3:
			s.Spec.PublishNotReadyAddresses = true
		case 4:
			s.Labels = nil
		}
	})
}

func editBudget(e *testEnv, choice int) error {
	b := &policyv1.PodDisruptionBudget{}
	return e.edit(appName, b, func() {
		b.Spec.MaxUnavailable = new(intstr.FromInt32(int32(choice % 3)))
		if choice%2 == 0 {
			b.Labels = nil
		}
	})
}

// addForeignBudget selects the app's pods. Its name may be the one that the operator would use.
func addForeignBudget(e *testEnv, choice int) error {
	return client.IgnoreAlreadyExists(e.api.Create(e.ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.key.Namespace, Name: []string{"theirs", appName}[choice%2]},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: selector},
		},
	}, user))
}

// addAutoscaler targets the Deployment or the GracefulApp.
func addAutoscaler(e *testEnv, choice int) error {
	target := []autoscalingv2.CrossVersionObjectReference{
		{APIVersion: "apps/v1", Kind: kindDeployment, Name: appName},
		{APIVersion: v1alpha1.GroupVersion.String(), Kind: kindApp, Name: appName},
	}[choice%2]
	return client.IgnoreAlreadyExists(e.api.Create(e.ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.key.Namespace, Name: []string{"of-deployment", "of-app"}[choice%2]},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: target, MaxReplicas: 5},
	}, user))
}

func (e *testEnv) removeAutoscalers() error {
	return e.api.DeleteAllOf(e.ctx, &autoscalingv2.HorizontalPodAutoscaler{}, client.InNamespace(e.key.Namespace))
}

func (e *testEnv) removeForeignBudgets() error {
	return e.removeAll(func(object client.Object) bool {
		_, isBudget := object.(*policyv1.PodDisruptionBudget)
		return isBudget && !e.seen.isOurs(object)
	})
}

// removeForeignObjects deletes the objects that the app does not own: those of another controller, and hand-made ones.
func (e *testEnv) removeForeignObjects() error {
	return e.removeAll(func(object client.Object) bool {
		_, isApp := object.(*v1alpha1.GracefulApp)
		return !isApp && !e.seen.isOurs(object)
	})
}

func (e *testEnv) removeAll(unwanted func(object client.Object) bool) error {
	var errs []error
	for _, object := range e.seen.objects {
		if unwanted(object) {
			errs = append(errs, client.IgnoreNotFound(e.api.Delete(e.ctx, object)))
		}
	}
	return errors.Join(errs...)
}

package fuzz

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// selector is that of a GracefulApp without spec.selector.
var selector = map[string]string{"apps.gracefulapp.dev/name": appName}

// user is the field manager of the users' writes.
const user = client.FieldOwner("kubectl-edit")

func newApp(namespace string, choice int) *v1alpha1.GracefulApp {
	a := testapp.New(testapp.Name(namespace, appName), testapp.Replicas(int32(choice%4)), testapp.Image(image(choice)))
	a.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	c := testapp.Container(a)
	c.Env = []corev1.EnvVar{{Name: "A", Value: "1"}}
	c.LivenessProbe, c.Lifecycle = nil, nil
	changeServiceTemplate(a, choice/4)
	return a
}

func createApp(e *testEnv, choice int) error {
	return client.IgnoreAlreadyExists(e.api.Create(e.ctx, newApp(e.key.Namespace, choice), user))
}

// editApp changes the app as `kubectl edit` does.
func editApp(change func(a *v1alpha1.GracefulApp, choice int)) operation {
	return func(e *testEnv, choice int) error {
		a := &v1alpha1.GracefulApp{}
		return e.edit(appName, a, func() { change(a, choice) })
	}
}

// edit changes an object, if it exists.
func (e *testEnv) edit(name string, object client.Object, change func()) error {
	if err := e.api.Get(e.ctx, client.ObjectKey{Namespace: e.key.Namespace, Name: name}, object); err != nil {
		return client.IgnoreNotFound(err)
	}
	change()
	return e.api.Update(e.ctx, object, user)
}

func scaleApp(e *testEnv, choice int) error { return e.scale(&v1alpha1.GracefulApp{}, choice%5) }

func scaleDeployment(e *testEnv, choice int) error { return e.scale(&appsv1.Deployment{}, choice%5) }

func (e *testEnv) scale(object client.Object, replicas int) error {
	object.SetNamespace(e.key.Namespace)
	object.SetName(appName)
	body := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: int32(replicas)}}
	return client.IgnoreNotFound(e.api.SubResource("scale").Update(e.ctx, object, client.FieldOwner("autoscaler"), client.WithSubResourceBody(body)))
}

// recreateApp leaves the old app's objects to the garbage collector, which comes before the new app or after it.
func recreateApp(e *testEnv, choice int) error {
	if err := e.deleteApp(); err != nil {
		return err
	}
	if choice%2 == 0 {
		if err := e.settle(0); err != nil {
			return err
		}
	}
	return createApp(e, choice/2)
}

func (e *testEnv) deleteApp() error {
	a := &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{Namespace: e.key.Namespace, Name: appName}}
	if err := e.api.Delete(e.ctx, a); client.IgnoreNotFound(err) != nil {
		return err
	}
	return e.look()
}

// adoptHandmade replaces the app by a Deployment, a Service or both, which a new app adopts.
func adoptHandmade(e *testEnv, choice int) error {
	if err := e.deleteApp(); err != nil {
		return err
	}
	if err := e.settle(0); err != nil {
		return err
	}
	a := newApp(e.key.Namespace, choice)
	a.Spec.Service, a.Annotations = nil, map[string]string{v1alpha1.AnnotationAdopt: "true"}
	a.Spec.Paused = []*bool{nil, nil, new(true)}[choice%3]
	all := []client.Object{handmadeDeployment(e.key.Namespace, *a.Spec.Replicas), handmadeService(e.key.Namespace)}
	for _, object := range [][]client.Object{all, all[:1], all[1:]}[choice/4%3] {
		if err := e.api.Create(e.ctx, object, user); client.IgnoreAlreadyExists(err) != nil {
			return err
		}
	}
	if err := e.look(); err != nil {
		return err
	}
	if err := e.runControllers(); err != nil {
		return err
	}
	return e.api.Create(e.ctx, a, user)
}

func handmadeDeployment(namespace string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: appName, Labels: map[string]string{"example.com/team": "shop"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: selector},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: selector},
				Spec: corev1.PodSpec{
					NodeSelector: map[string]string{"disk": "ssd"},
					Containers: []corev1.Container{{
						Name: appName, Image: "hello:0.0.9", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
						Env: []corev1.EnvVar{{Name: "A", Value: "0"}, {Name: "OLD", Value: "1"}},
					}},
				},
			},
		},
	}
}

func handmadeService(namespace string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: appName, Labels: map[string]string{"example.com/team": "shop"}},
		Spec: corev1.ServiceSpec{
			Selector: selector, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
}

// ownedKinds are empty objects of the kinds that the operator writes.
func ownedKinds() []client.Object {
	return []client.Object{&appsv1.Deployment{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}}
}

// copyOfApp is the app as its user would write it into another namespace.
func copyOfApp(a *v1alpha1.GracefulApp, namespace string) (*v1alpha1.GracefulApp, error) {
	fresh := &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: a.Name}}
	return fresh, plan.Convert(a.Spec, &fresh.Spec)
}

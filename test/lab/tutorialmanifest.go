package lab

import (
	"bytes"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/config/samples/tutorial"
)

// workload returns the workload that runs the manifest. prevents are the rows of docs/failure-modes.md that the earlier steps prevent.
func (s tutorialStep) workload(prevents []string) *workload {
	objects, err := s.objects()
	if err != nil {
		panic(fmt.Sprintf("an embedded manifest is invalid: %v", err)) // a unit test reads all of them
	}
	_, managed := objects[0].(*v1alpha1.GracefulApp)
	return &workload{
		name: s.name, title: s.title, share: 1, managed: managed, probed: len(prevents) > 0,
		control: s.loses != "", mustLose: s.loses, prevents: prevents, lossless: s.loses == "", drainAware: s.loses == "",
		build: func(w *workload, _ profile, image string) []client.Object {
			var adapted []client.Object
			for _, object := range objects {
				adapted = append(adapted, w.adapt(object.DeepCopyObject().(client.Object), image))
			}
			return adapted
		},
	}
}

// objects returns the objects of the manifest. The first one is the Deployment or the GracefulApp.
func (s tutorialStep) objects() ([]client.Object, error) {
	text, err := tutorial.Files.ReadFile(s.file)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var all []client.Object
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.file, err)
		}
		all = append(all, object.(client.Object))
	}
	return all, nil
}

// adapt changes an object of a manifest as the lab needs it, and returns it: the name and the pod labels of the workload, the image under test, the end
// of its listener, and the CPU settings of the lab's other servers.
func (w *workload) adapt(object client.Object, image string) client.Object {
	object.SetName(w.name)
	switch o := object.(type) {
	case *v1alpha1.GracefulApp:
		w.adaptTemplate(&o.Spec.Template, image)
	case *appsv1.Deployment:
		o.Spec.Selector.MatchLabels = w.podLabels()
		w.adaptTemplate(&o.Spec.Template, image)
	case *corev1.Service:
		o.Spec.Selector = w.podLabels()
	}
	return object
}

func (w *workload) adaptTemplate(template *corev1.PodTemplateSpec, image string) {
	template.Labels = w.podLabels()
	c := &template.Spec.Containers[0]
	c.Image, c.Resources = image, requesting(serverCPU)
	c.Env = append(c.Env, singleProcessor)
	if !w.drainAware {
		*c = closingAtSigterm(*c)
	}
}

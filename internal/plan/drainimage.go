package plan

import (
	"cmp"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// liveDrainContainer returns the sidecar of the live Deployment, or nil.
func (r Running) liveDrainContainer() *corev1.Container {
	if r.Deployment == nil {
		return nil
	}
	all := r.Deployment.Spec.Template.Spec.InitContainers
	if i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == drainContainer }); i >= 0 {
		return &all[i]
	}
	return nil
}

// appliedDrainImage returns the image of the sidecar that the operator has applied and that no other client has overwritten, or "".
func (r Running) appliedDrainImage() string {
	d := r.applied()
	if d == nil || d.Spec == nil || d.Spec.Template == nil || d.Spec.Template.Spec == nil {
		return ""
	}
	all := d.Spec.Template.Spec.InitContainers
	i := slices.IndexFunc(all, func(c corev1ac.ContainerApplyConfiguration) bool { return c.Name != nil && *c.Name == drainContainer })
	if i < 0 || all[i].Image == nil {
		return ""
	}
	return *all[i].Image
}

// requestedDrainImage returns the image that the app's owner asks for.
func (in *input) requestedDrainImage() (image string, ok bool) {
	image, ok = in.app.Annotations[v1alpha1.AnnotationDrainImage]
	return image, ok
}

// drainImage returns the sidecar's image: the one that the owner asks for, else the one of the live Deployment, else the operator's. Any client may edit
// the Deployment, so if its image differs from the one in the status, the operator's applied fields decide, as for the derivation version.
func (in *input) drainImage() string {
	if image, ok := in.requestedDrainImage(); ok {
		return image
	}
	var live, recorded string
	if c := in.running.liveDrainContainer(); c != nil {
		live = c.Image
	}
	if s := in.app.Status.Drain; s != nil {
		recorded = s.Image
	}
	if live != recorded && live != "" && recorded != "" {
		return cmp.Or(in.running.appliedDrainImage(), recorded)
	}
	return cmp.Or(live, recorded, in.running.DrainProxy.Image)
}

// drainToken returns the token of the live Deployment, or a new one.
func (in *input) drainToken() string {
	return cmp.Or(in.running.DrainToken(), in.running.DrainProxy.Token)
}

// drainTokenPattern is the form of crypto/rand.Text, which makes the tokens. Another client could write a value that the kubelet expands.
var drainTokenPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// DrainToken returns the token of the live Deployment's drain sidecar, or "".
func (r Running) DrainToken() string {
	c := r.liveDrainContainer()
	if c == nil {
		return ""
	}
	for _, e := range c.Env {
		if e.Name == drainTokenEnv && drainTokenPattern.MatchString(e.Value) {
			return e.Value
		}
	}
	return ""
}

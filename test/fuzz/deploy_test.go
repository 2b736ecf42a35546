package fuzz

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// deploy stores an app's owned objects without a dry run. The stored objects must equal the applied ones, because the controller would
// otherwise write again and again. In an update the objects also have the fields that other clients have written.
func (j *judges) deploy(ctx context.Context, t rapid.TB, c trial) {
	verdict := updated
	if c.Before == nil {
		verdict, c.App.Namespace = stored, j.newNamespace(ctx, t, c.Policy)
		defer j.releaseAddress(ctx, t, c.App)
	}
	if j.applyAll(ctx, t, c, c.App) {
		j.count(verdict)
	}
}

// deployBefore stores the earlier app and its objects, lets other clients write, and makes the app under trial an update of it.
func (j *judges) deployBefore(ctx context.Context, t rapid.TB, c trial) children.Observed {
	before := c.Before
	before.Namespace = j.newNamespace(ctx, t, c.Policy)
	if err := j.api.Create(ctx, before); err != nil {
		t.Fatalf("%v\n%s", err, printed(c))
	}
	j.applyAll(ctx, t, c, before)
	for _, name := range c.Writes {
		if err := foreignWrites[name].perform(ctx, j.api, before); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, printed(c))
		}
	}
	c.App.Namespace, c.App.UID, c.App.ResourceVersion = before.Namespace, before.UID, before.ResourceVersion
	observed, err := children.Observe(ctx, children.Reader{Cache: j.api, Live: j.api}, c.App)
	if err != nil {
		t.Fatal(err)
	}
	return observed
}

// applyAll applies the app's objects until nothing changes. It reports whether the API server had a free node port.
func (j *judges) applyAll(ctx context.Context, t rapid.TB, c trial, a *v1alpha1.GracefulApp) bool {
	const passes = 3
	answers := &children.Answers{}
	for pass := range passes {
		observed, err := children.Observe(ctx, children.Reader{Cache: j.api, Live: j.api}, a)
		if err != nil {
			t.Fatal(err)
		}
		p, errs, _ := plan.For(a, observed.Running())
		if len(errs) > 0 {
			t.Fatalf("accepted, and refused in pass %d: %v\n%s", pass, errs, printed(c))
		}
		changes, err := children.Apply(ctx, j.api, p, observed, answers, true)
		switch {
		case err != nil && strings.Contains(err.Error(), "provided port is already allocated"):
			return false // one node port, and two apps that want it
		case err != nil:
			t.Fatalf("accepted, and yet not deployable: %v\n%s", err, printed(c))
		case len(changes) == 0:
			return true
		case pass == passes-1:
			t.Fatalf("not at rest: %v\n%s", changes, printed(c))
		}
	}
	return false
}

func (j *judges) newNamespace(ctx context.Context, t rapid.TB, policy string) string {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "fuzz-", Labels: map[string]string{policyLabel: policy}}}
	if err := j.api.Create(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// releaseAddress deletes the app's Service, which has a cluster IP and may have node ports: no controller collects garbage here.
func (j *judges) releaseAddress(ctx context.Context, t rapid.TB, a *v1alpha1.GracefulApp) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: a.Name}}
	if err := client.IgnoreNotFound(j.api.Delete(ctx, service)); err != nil {
		t.Fatal(err)
	}
}

// printed has the form of a file in testdata/found.
func printed(c trial) string {
	c.App, c.Before = asWritten(c.App), asWritten(c.Before)
	data, err := yaml.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// asWritten is an app without the fields that the API server or the test has set.
func asWritten(a *v1alpha1.GracefulApp) *v1alpha1.GracefulApp {
	if a == nil {
		return nil
	}
	return &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{Name: a.Name}, Spec: a.Spec}
}

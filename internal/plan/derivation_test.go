package plan_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// TestDerivationIsStable fails when the same spec gets another pod template by the same version, which would restart every such app at the
// operator's upgrade. -update rewrites the digests of the newest version only: those of the others are frozen, so cases that came later
// are absent there.
func TestDerivationIsStable(t *testing.T) {
	for version := plan.OldestDerivation; version <= plan.NewestDerivation; version++ {
		file := fmt.Sprintf("testdata/derivation-%d.yaml", version)
		digests := templateDigests(t, version)
		open := version == plan.NewestDerivation
		if open && *update {
			writeYAML(t, file, digests)
		}
		known := map[string]string{}
		readYAML(t, file, &known)
		if len(known) == 0 {
			t.Errorf("%s has no digests", file)
		}
		for name := range digests {
			if _, ok := known[name]; !ok && !open {
				delete(digests, name)
			}
		}
		if diff := cmp.Diff(known, digests); diff != "" {
			t.Errorf("the derived pod template of version %d has changed: an upgrade of the operator would restart every such app; see "+
				"docs/decisions/derivation-versions.md (-%s +now):\n%s", version, file, diff)
		}
	}
}

// TestOldestDerivationIsFrozen fails if the digests of version 1 change: apps have used it since before there were versions.
func TestOldestDerivationIsFrozen(t *testing.T) {
	data, err := os.ReadFile("testdata/derivation-1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const frozen = "235a110def45fbcfb828df7709850a57cbc948af1b9419750026b95e5a1897df"
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != frozen {
		t.Errorf("testdata/derivation-1.yaml has the digest %s, want %s: it never changes", got, frozen)
	}
}

func templateDigests(t *testing.T, version int32) map[string]string {
	t.Helper()
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, input := range inputs {
		app := readApp(t, input)
		ask(strconv.Itoa(int(version)))(app)
		p, errs, _ := plan.For(app, plan.Running{})
		if len(errs) > 0 {
			continue
		}
		template, err := yaml.Marshal(p.Deployment.Spec.Template)
		if err != nil {
			t.Fatal(err)
		}
		digests[strings.TrimSuffix(filepath.Base(input), ".in.yaml")] = fmt.Sprintf("%x", sha256.Sum256(template))
	}
	return digests
}

func writeYAML(t *testing.T, file string, value any) {
	t.Helper()
	data, err := yaml.Marshal(value)
	if err == nil {
		err = os.WriteFile(file, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask sets the annotation that asks for a version.
func ask(version string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Annotations = map[string]string{v1alpha1.AnnotationDerivation: version}
	}
}

// setVariable gives the app an environment variable.
func setVariable(name, value string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		testapp.Container(app).Env = append(testapp.Container(app).Env, corev1.EnvVar{Name: name, Value: value})
	}
}

// derivedBy is an app with its Deployment as a version derived it, before the app is modified. Nothing records the version in the status, as
// with a Deployment of an operator that knew one version only.
func derivedBy(t *testing.T, version int32, modify ...testapp.Modifier) (*v1alpha1.GracefulApp, plan.Running) {
	t.Helper()
	app := testapp.New()
	app.UID, app.Generation, app.Status.ObservedGeneration = "of-hello", 1, 1
	asking := app.DeepCopy()
	ask(strconv.Itoa(int(version)))(asking)
	p, errs, _ := plan.For(asking, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	live := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Name: app.Name, Annotations: p.Deployment.Annotations,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(app, v1alpha1.GroupVersion.WithKind("GracefulApp"))},
	}, Spec: appsv1.DeploymentSpec{
		Replicas: app.Spec.Replicas, Selector: &metav1.LabelSelector{MatchLabels: plan.SelectorLabels(app)},
	}}
	for _, m := range modify {
		m(app)
	}
	return app, plan.Running{Deployment: live, Applied: func() *appsv1ac.DeploymentApplyConfiguration { return p.Deployment }}
}

// record writes status.derivation, as the operator does once it has derived the Deployment from the spec.
func record(t *testing.T, app *v1alpha1.GracefulApp, running plan.Running) {
	t.Helper()
	p, errs, _ := plan.For(app, running)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	app.Status.Derivation = &p.Derivation
}

// TestWhoMovesToTheNewestDerivation changes an app of derivation version 1. The table tells which changes move it to the newest version.
func TestWhoMovesToTheNewestDerivation(t *testing.T) {
	tests := []struct {
		name   string
		change testapp.Modifier
		want   int32
	}{
		{name: "nothing", change: func(*v1alpha1.GracefulApp) {}, want: 1},
		{name: "timing", change: func(a *v1alpha1.GracefulApp) { a.Spec.Timing.RequestSeconds = 9 }, want: 2},
		{name: "template, another value", change: func(a *v1alpha1.GracefulApp) { testapp.Container(a).Image = "hello:0.2.0" }, want: 2},
		{name: "template, one more variable", change: setVariable("COLOR", "blue"), want: 2},
		{name: "replicas", change: testapp.Replicas(7), want: 1},
		{name: "paused", change: func(a *v1alpha1.GracefulApp) { a.Spec.Paused = new(true) }, want: 1},
		{name: "history", change: func(a *v1alpha1.GracefulApp) { a.Spec.RevisionHistoryLimit = new(int32(2)) }, want: 1},
		{name: "strategy", change: rolls("0", "1"), want: 1},
		{name: "progress deadline", change: func(a *v1alpha1.GracefulApp) { a.Spec.ProgressDeadlineSeconds = new(int32(900)) }, want: 1},
		{name: "labels", change: func(a *v1alpha1.GracefulApp) { a.Labels = map[string]string{"team": "blue"} }, want: 1},
		{name: "metadata of the owned objects", change: withCommonMetadata(map[string]string{"team": "blue"}, map[string]string{"owner": "blue"}), want: 1},
		{name: "service", change: func(a *v1alpha1.GracefulApp) {
			a.Spec.Service = service(corev1.ServicePort{Name: "http", Port: 81})
		}, want: 1},
		{name: "a derived number written out", change: func(a *v1alpha1.GracefulApp) { a.Spec.Timing.PreStopSeconds = new(int32(5)) }, want: 1},
		{name: "asks for the newest", change: ask("2"), want: 2},
		{name: "asks for its own", change: ask("1"), want: 1},
		{name: "asks for an unknown one", change: ask("3"), want: 1},
		{name: "asks for no version", change: ask("newest"), want: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app, running := derivedBy(t, 1)
			record(t, app, running)
			tt.change(app)
			app.Generation++
			if got := versionOf(t, app, running); got != tt.want {
				t.Errorf("version %d, want %d", got, tt.want)
			}
		})
	}
}

func versionOf(t *testing.T, app *v1alpha1.GracefulApp, running plan.Running) int32 {
	t.Helper()
	p, errs, _ := plan.For(app, running)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := p.Deployment.Annotations[v1alpha1.AnnotationDerivation]; got != strconv.Itoa(int(p.Derivation.Version)) {
		t.Errorf("the Deployment says version %s, the plan %d", got, p.Derivation.Version)
	}
	return p.Derivation.Version
}

// overwrite removes the pod template from the applied fields, as if another client had overwritten it.
func overwrite(running *plan.Running) {
	applied := *running.Applied()
	spec := *applied.Spec
	spec.Template, applied.Spec = nil, &spec
	running.Applied = func() *appsv1ac.DeploymentApplyConfiguration { return &applied }
}

// TestDerivationInForce checks Deployments for which the annotation alone does not decide the version.
func TestDerivationInForce(t *testing.T) {
	tests := []struct {
		name   string
		modify func(*testing.T, *v1alpha1.GracefulApp, *plan.Running)
		want   int32
	}{
		{name: "a new app", want: 2, modify: func(_ *testing.T, _ *v1alpha1.GracefulApp, r *plan.Running) { *r = plan.Running{} }},
		{name: "no annotation, older than versions are", want: 1, modify: func(_ *testing.T, _ *v1alpha1.GracefulApp, r *plan.Running) {
			r.Deployment.Annotations, r.Applied = nil, nil
		}},
		{name: "to be adopted, created by another client", want: 2, modify: func(_ *testing.T, _ *v1alpha1.GracefulApp, r *plan.Running) {
			r.Deployment.Annotations, r.Deployment.OwnerReferences, r.Applied = nil, nil, nil
		}},
		{name: "to be adopted, orphaned by a deleted GracefulApp", want: 1, modify: func(_ *testing.T, _ *v1alpha1.GracefulApp, r *plan.Running) {
			r.Deployment.OwnerReferences = nil
		}},
		{name: "template overwritten", want: 1, modify: func(t *testing.T, a *v1alpha1.GracefulApp, r *plan.Running) {
			t.Helper()
			record(t, a, *r)
			overwrite(r)
		}},
		{name: "template overwritten while the app is scaled", want: 1, modify: func(t *testing.T, a *v1alpha1.GracefulApp, r *plan.Running) {
			t.Helper()
			record(t, a, *r)
			overwrite(r)
			a.Spec.Replicas, a.Generation = new(int32(5)), 2
		}},
		{name: "template overwritten and no record", want: 1, modify: func(_ *testing.T, _ *v1alpha1.GracefulApp, r *plan.Running) { overwrite(r) }},
		{name: "strategy changed and no record", want: 1, modify: func(_ *testing.T, a *v1alpha1.GracefulApp, _ *plan.Running) {
			rolls("0", "1")(a)
			a.Generation = 2
		}},
		{name: "spec changed and no record", want: 2, modify: func(_ *testing.T, a *v1alpha1.GracefulApp, _ *plan.Running) {
			a.Spec.Timing.RequestSeconds, a.Generation = 9, 2
		}},
		{name: "annotation edited", want: 1, modify: func(_ *testing.T, _ *v1alpha1.GracefulApp, r *plan.Running) {
			r.Deployment.Annotations = map[string]string{v1alpha1.AnnotationDerivation: "2"}
		}},
		{name: "Deployment deleted", want: 1, modify: func(t *testing.T, a *v1alpha1.GracefulApp, r *plan.Running) {
			t.Helper()
			record(t, a, *r)
			*r = plan.Running{}
		}},
		{name: "changed and applied by an operator without a record", want: 1, modify: func(t *testing.T, a *v1alpha1.GracefulApp, r *plan.Running) {
			t.Helper()
			record(t, a, *r)
			a.Status.Derivation.SpecDigest = "of the spec before"
			a.Generation = 2
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app, running := derivedBy(t, 1)
			tt.modify(t, app, &running)
			if got := versionOf(t, app, running); got != tt.want {
				t.Errorf("version %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAskedOlderDerivation(t *testing.T) {
	app, running := derivedBy(t, 2, ask("1"))
	if got := versionOf(t, app, running); got != 1 {
		t.Errorf("version %d, want 1: the owner asks for it", got)
	}
}

// TestUnknownDerivation: a newer operator has derived the Deployment, and this one must not derive anything.
func TestUnknownDerivation(t *testing.T) {
	app, running := derivedBy(t, 2)
	running.Applied().Annotations[v1alpha1.AnnotationDerivation] = "3"
	p, errs, _ := plan.For(app, running)
	if len(errs) != 1 || !strings.Contains(errs[0].Detail, "was derived by version 3, and this operator supports the versions 1 to 2") {
		t.Errorf("errors %v", errs)
	}
	if p.Deployment != nil || p.Derivation.Version != 3 {
		t.Errorf("plan %+v, want no objects and version 3", p)
	}
	ask("2")(app)
	if got := versionOf(t, app, running); got != 2 {
		t.Errorf("version %d, want 2: the owner asks for it", got)
	}
}

func TestAskedDerivationIsKnown(t *testing.T) {
	for text, refused := range map[string]bool{"1": false, "2": false, "3": true, "0": true, "-1": true, "": true, "two": true, "99999999999": true} {
		if errs := plan.CheckRequestedDerivation(testapp.New(ask(text))); (len(errs) > 0) != refused {
			t.Errorf("%q: %v, refused = %v", text, errs, refused)
		}
	}
	if errs := plan.CheckRequestedDerivation(testapp.New()); len(errs) > 0 {
		t.Errorf("no annotation: %v", errs)
	}
}

// TestTightenedRule: a rule of version 2 refuses an app of version 2. An app that keeps version 1 stays valid, and Outdated names the field.
func TestTightenedRule(t *testing.T) {
	const field = "spec.template.spec.containers[0].env[0]"
	wrong := setVariable("GRACEFUL_REQUEST_SEC", "99")
	_, errs, _ := plan.For(testapp.New(wrong), plan.Running{})
	if len(errs) != 1 || errs[0].Field != field || !strings.Contains(errs[0].Detail, "GRACEFUL_REQUEST_SEC=5") {
		t.Errorf("a new app: %v, want one error on %s", errs, field)
	}
	p, errs, _ := plan.For(testapp.New(wrong, ask("1")), plan.Running{})
	if len(errs) > 0 || len(p.NewerVersionErrors) != 1 || p.NewerVersionErrors[0].Field != field {
		t.Errorf("version 1: errors %v, outdated %v, want no errors and one on %s", errs, p.NewerVersionErrors, field)
	}
	if p, _, _ := plan.For(testapp.New(setVariable("GRACEFUL_REQUEST_SEC", "5"), ask("1")), plan.Running{}); len(p.NewerVersionErrors) > 0 {
		t.Errorf("the right value: outdated %v", p.NewerVersionErrors)
	}
	app, running := derivedBy(t, 1, wrong)
	record(t, testapp.New(), running)
	app.Generation = 2
	if _, errs, _ := plan.For(app, running); len(errs) != 1 {
		t.Errorf("the owner sets it now: %v, want one error", errs)
	}
}

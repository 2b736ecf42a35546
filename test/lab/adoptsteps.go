package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	// pausedTime is the time for which the apps stay paused after their adoption. The control's outage lasts at least as long.
	pausedTime = 8 * time.Second
	// adoptLimit bounds the wait for a write of the operator.
	adoptLimit = time.Minute
)

func adoptRunning(ctx context.Context, r *round) error {
	undo, err := r.renameTarget(ctx, "control")
	if err != nil {
		return err
	}
	defer undo()
	return r.adoptAndRollOut(ctx)
}

func (r *round) adoptAndRollOut(ctx context.Context) error {
	if err := r.adopt(ctx, "adopt", func(*v1alpha1.GracefulApp) {}); err != nil {
		return err
	}
	return r.endAdoption(ctx)
}

// adoptPaused follows the steps of docs/how-to/adopt.md.
func adoptPaused(ctx context.Context, r *round) error {
	undo, err := r.renameTarget(ctx, "control")
	if err != nil {
		return err
	}
	defer undo()
	if err := r.adoptWithoutRestart(ctx); err != nil {
		return err
	}
	n := r.scenario.replicas + 1
	if err := r.changeAdopted(ctx, fmt.Sprintf("scale to %d", n), func(w *workload) error { return w.patch(ctx, r.lab.testbed, replicasPatch(n)) }); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.changeAdopted(ctx, "roll out", func(w *workload) error { return w.patch(ctx, r.lab.testbed, `{"spec":{"paused":false}}`) }); err != nil {
		return err
	}
	return r.endAdoption(ctx)
}

func (r *round) adoptWithoutRestart(ctx context.Context) error {
	before, err := r.podNames(ctx)
	if err != nil {
		return err
	}
	if err := r.adopt(ctx, "adopt, paused", func(app *v1alpha1.GracefulApp) { app.Spec.Paused = new(true) }); err != nil {
		return err
	}
	if err := r.waitUnderLoad(ctx, pausedTime); err != nil {
		return err
	}
	after, err := r.podNames(ctx)
	if err == nil && !slices.Equal(before, after) {
		err = fmt.Errorf("pods restarted while paused: before the adoption %v, after it %v", before, after)
	}
	return err
}

// adopt creates the GracefulApps and waits until they control the Deployments and Services.
func (r *round) adopt(ctx context.Context, text string, change func(*v1alpha1.GracefulApp)) error {
	err := r.changeAdopted(ctx, text, func(w *workload) error {
		app := w.app(w, r.scenario.profile, r.lab.options.workloadImage)
		change(app)
		if err := r.lab.testbed.Create(ctx, app); err != nil {
			return fmt.Errorf("adopting %s: %w", w.name, err)
		}
		w.managed, w.generation = true, app.Generation
		return nil
	})
	if err != nil {
		return err
	}
	return r.waitFor(ctx, "the adoption", adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		for _, w := range r.adopted() {
			for _, object := range []client.Object{&corev1.Service{}, &appsv1.Deployment{}} {
				if err := r.lab.testbed.Get(ctx, client.ObjectKey{Name: w.name}, object); err != nil {
					return "", err
				}
				if owner := metav1.GetControllerOf(object); owner == nil || owner.Kind != "GracefulApp" {
					return testbed.Pending(fmt.Sprintf("%T %s has no controller", object, w.name)), nil
				}
			}
		}
		return testbed.Done, nil
	})
}

// endAdoption waits for the rollout and for the Services to target the named ports. Then it removes the adopt annotation.
func (r *round) endAdoption(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	err := r.waitFor(ctx, "the Services to target named ports", adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		for _, w := range r.adopted() {
			var s corev1.Service
			if err := r.lab.testbed.Get(ctx, client.ObjectKey{Name: w.name}, &s); err != nil {
				return "", err
			}
			if got := targetsOfService(s); !slices.Equal(got, w.targets) {
				return testbed.Pending(fmt.Sprintf("%s targets %s instead of %s", w.name, strings.Join(got, ", "), strings.Join(w.targets, ", "))), nil
			}
		}
		return testbed.Done, nil
	})
	if err != nil {
		return err
	}
	remove := fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, v1alpha1.AnnotationAdopt)
	if err := r.changeAdopted(ctx, "remove the annotation", func(w *workload) error { return w.patch(ctx, r.lab.testbed, remove) }); err != nil {
		return err
	}
	return r.settle(ctx)
}

func targetsOfService(s corev1.Service) []string {
	var targets []string
	for _, p := range s.Spec.Ports {
		targets = append(targets, p.TargetPort.String())
	}
	return targets
}

// adopted returns the workloads that a GracefulApp adopts or has adopted.
func (r *round) adopted() []*workload {
	var all []*workload
	for _, w := range r.lab.suite.workloads {
		if w.app != nil {
			all = append(all, w)
		}
	}
	return all
}

// changeAdopted is changeEach for the adopted workloads.
func (r *round) changeAdopted(ctx context.Context, text string, do func(w *workload) error) error {
	r.lab.say("  %s", text)
	return r.changeEach(ctx, r.adopted(), text, do)
}

func (r *round) podNames(ctx context.Context) ([]string, error) {
	pods, err := r.lab.pods(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	slices.Sort(names)
	return names, nil
}

// renameTarget installs a policy that changes a Service as an older operator did on adoption: it targets a port name that the running pods do not have.
func (r *round) renameTarget(ctx context.Context, service string) (undo func(), err error) {
	undo, err = r.lab.install(ctx, sabotagePolicy(service, admissionregistrationv1.Rule{
		APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"},
	}, fmt.Sprintf(`[JSONPatch{op: "replace", path: "/spec/ports/0/targetPort", value: %q}]`, derivedPortName)))
	if err != nil {
		return nil, err
	}
	err = r.waitFor(ctx, "the sabotage policy to be in force", adoptLimit, func(ctx context.Context) (testbed.Pending, error) {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: service}}
		dryRun := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"lab.gracefulapp.dev/sabotage":"in force"}}}`))
		if err := r.lab.testbed.Patch(ctx, s, dryRun, client.DryRunAll); err != nil {
			return "", err
		}
		if s.Spec.Ports[0].TargetPort != intstr.FromString(derivedPortName) {
			return "the API server does not apply the policy yet", nil
		}
		return testbed.Done, nil
	})
	if err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

package fuzz

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// operation is one change by a user, a controller or the cluster. choice selects one of its variants. If the object that it changes is absent,
// it does nothing.
type operation func(e *testEnv, choice int) error

const createTheApp = "create the app"

// operations are the steps from which a sequence is drawn.
var operations = map[string]operation{
	createTheApp:                        createApp,
	"scale the app by /scale":           scaleApp,
	"scale the app by a patch":          editApp(func(a *v1alpha1.GracefulApp, n int) { a.Spec.Replicas = new(int32(n % 5)) }),
	"change the image":                  editApp(func(a *v1alpha1.GracefulApp, n int) { serving(a).Image = image(n) }),
	"change a variable":                 editApp(changeVariable),
	"change the timing":                 editApp(func(a *v1alpha1.GracefulApp, n int) { a.Spec.Timing.RequestSeconds = int32(5 + n) }),
	"change the Service of the app":     editApp(changeServiceTemplate),
	"pause or resume the app":           editApp(pauseOrResume),
	"write a spec that is refused":      editApp(breakSpec),
	"correct the spec":                  editApp(func(a *v1alpha1.GracefulApp, _ int) { correctSpec(a) }),
	"delete and re-create the app":      recreateApp,
	"adopt hand-made objects":           adoptHandmade,
	"delete an owned object":            deleteOwned,
	"remove an owner reference":         removeOwnerReference,
	"annotate an owned object":          annotateOwned,
	"edit the Deployment":               editDeployment,
	"apply a derived field by force":    applyByForce,
	"append an item that exists":        appendTwice,
	"scale the Deployment":              scaleDeployment,
	"restart the rollout":               restartRollout,
	"edit the Service":                  editService,
	"edit the PodDisruptionBudget":      editBudget,
	"add a foreign PodDisruptionBudget": addForeignBudget,
	"remove foreign PodDisruptionBudgets": func(e *testEnv, _ int) error {
		return e.removeForeignBudgets()
	},
	"add an autoscaler":          addAutoscaler,
	"remove autoscalers":         func(e *testEnv, _ int) error { return e.removeAutoscalers() },
	"hand an object to a third":  handOver,
	"let pods become unready":    func(e *testEnv, n int) error { e.unready = int32(n % 3); return nil },
	"restart the operator":       func(e *testEnv, _ int) error { e.startOperator(); return nil },
	"let calls fail":             failCalls,
	"put a policy in force":      func(e *testEnv, n int) error { return e.setPolicy([]string{policyFixed, policyVarying}[n%2]) },
	"remove the policy":          func(e *testEnv, _ int) error { return e.setPolicy("") },
	"let time pass":              func(*testEnv, int) error { return nil },
	"change several things once": editApp(changeAll),
}

// failCalls lets one call fail, or all within some seconds: of one kind, or of everything but the Deployment.
func failCalls(e *testEnv, choice int) error {
	kinds := []string{kindService, kindDeployment, kindBudget, kindApp, ""}
	kind, choice := kinds[choice%len(kinds)], choice/len(kinds)
	err, choice := errorsOfCalls[choice%len(errorsOfCalls)], choice/len(errorsOfCalls)
	f := &failure{
		fails: func(k string) bool { return k == kind || kind == "" && k != kindDeployment },
		until: e.clock.Now().Add([]time.Duration{5 * time.Second, 45 * time.Second, 200 * time.Second}[choice%3]),
		once:  choice%4 == 3, err: err,
		performed: apierrors.IsTimeout(err) && choice%2 == 0,
	}
	e.recorder.failures = append(e.recorder.failures, f)
	return nil
}

// recover ends every disturbance: failures, policies, foreign objects, a refused spec, pods that are not ready. The app exists afterwards.
func (e *testEnv) recover() error {
	e.recorder.failures, e.unready = nil, 0
	for _, end := range []func() error{
		func() error { return e.setPolicy("") }, e.removeForeignBudgets, e.removeAutoscalers, e.removeForeignObjects,
		func() error { return createApp(e, 0) },
		func() error { return editApp(func(a *v1alpha1.GracefulApp, _ int) { correctSpec(a) })(e, 0) },
	} {
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}

func serving(a *v1alpha1.GracefulApp) *corev1.Container { return &a.Spec.Template.Spec.Containers[0] }

func image(n int) string { return []string{"hello:0.1.0", "hello:0.2.0", "hello:0.3.0"}[n%3] }

func changeVariable(a *v1alpha1.GracefulApp, n int) {
	c := serving(a)
	c.Env = slices.DeleteFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "B" })
	if n%3 > 0 {
		c.Env = append(c.Env, corev1.EnvVar{Name: "B", Value: []string{"", "1", "2"}[n%3]})
	}
}

func changeServiceTemplate(a *v1alpha1.GracefulApp, n int) {
	s := &v1alpha1.ServiceTemplate{}
	switch n % 4 {
	case 0:
		s = nil
	case 1:
		s.Metadata.Annotations = map[string]string{"shop.example.com/tier": "gold"}
	case 2:
		s.Spec.Type = corev1.ServiceTypeNodePort
	case 3:
		s.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "web", Port: 81}}
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	}
	if s != nil && len(s.Spec.Ports) > 1 {
		s.Spec.Ports[1].TargetPort.Type, s.Spec.Ports[1].TargetPort.StrVal = 1, "http"
	}
	a.Spec.Service = s
}

func pauseOrResume(a *v1alpha1.GracefulApp, n int) {
	a.Spec.Paused = []*bool{nil, new(true), new(false)}[n%3]
}

// breakSpec writes a value that the CRD's schema accepts and the operator refuses.
func breakSpec(a *v1alpha1.GracefulApp, _ int) {
	a.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(3))
}

func correctSpec(a *v1alpha1.GracefulApp) { a.Spec.Template.Spec.TerminationGracePeriodSeconds = nil }

func changeAll(a *v1alpha1.GracefulApp, n int) {
	a.Spec.Replicas = new(int32((n + 1) % 5))
	serving(a).Image = image(n)
	changeServiceTemplate(a, n)
	changeVariable(a, n)
}

// Package plan derives the desired objects of a GracefulApp and validates its spec. It has no side effects. Controller, webhook and command
// line all call its function For, so they get the same objects, errors and warnings.
package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Plan holds the desired objects of a GracefulApp. A nil object must not exist.
type Plan struct {
	Timing              v1alpha1.TimingStatus
	Deployment          *appsv1ac.DeploymentApplyConfiguration
	Service             *corev1ac.ServiceApplyConfiguration
	PodDisruptionBudget *policyv1ac.PodDisruptionBudgetApplyConfiguration
	// Derivation is set even if For returns field errors.
	Derivation v1alpha1.DerivationStatus
	// Drain is the status of the drain sidecar; nil in mode Hook.
	Drain *v1alpha1.DrainStatus
	// DrainBypass says how requests get past the drain sidecar in the live Deployment. It is empty if none do.
	DrainBypass string
	// NewerVersionErrors are the rules of newer derivation versions that the spec breaks. They block nothing while the app keeps its version.
	NewerVersionErrors field.ErrorList

	addedVariables addedVariables
	// serverNames are the names of the containers that get requests.
	serverNames []string
	// stopSeconds is how long the app may take to end. t3 must exceed it.
	stopSeconds int32
}

// For derives the desired objects from the app and its live objects, and returns the warnings for the user who writes the spec. If it returns field
// errors, the spec breaks a rule and the Plan has no objects. The caller must then neither create nor delete an object.
func For(app *v1alpha1.GracefulApp, running Running) (Plan, field.ErrorList, []string) {
	in := newInput(app, running)
	if errs := in.check(); len(errs) > 0 {
		return Plan{Derivation: in.derivation()}, errs, in.warn()
	}
	plan, err := in.build()
	if err != nil {
		// The API server accepts no spec that causes this error. A later API server may accept more.
		return Plan{Derivation: in.derivation()}, field.ErrorList{field.InternalError(templatePath, err)}, in.warn()
	}
	plan.NewerVersionErrors = in.newerVersionErrors()
	return plan, nil, in.warn()
}

func (in *input) build() (Plan, error) {
	template, err := podTemplateConfiguration(in.withDrainSidecar())
	if err != nil {
		return Plan{}, fmt.Errorf("converting the pod template: %w", err)
	}
	service, err := serviceConfiguration(in)
	if err != nil {
		return Plan{}, fmt.Errorf("converting the service: %w", err)
	}
	return Plan{
		Timing:              timingStatus(in),
		Deployment:          deploymentConfiguration(in, template),
		Service:             service,
		PodDisruptionBudget: disruptionBudgetConfiguration(in),
		Derivation:          in.derivation(),
		Drain:               in.drainStatus(),
		DrainBypass:         in.drainBypass(),
		addedVariables:      in.countAddedVariables(),
		serverNames:         in.serverNames(),
		stopSeconds:         in.timing.StopSeconds,
	}, nil
}

func (in *input) derivation() v1alpha1.DerivationStatus {
	return v1alpha1.DerivationStatus{Version: in.version, SpecDigest: specDigest(in.spec())}
}

func timingStatus(in *input) v1alpha1.TimingStatus {
	return v1alpha1.TimingStatus{
		ShutdownSeconds:               in.timing.ShutdownSeconds,
		ExitSeconds:                   in.timing.ExitSeconds,
		PreStopSeconds:                in.timing.PreStopSeconds,
		TerminationGracePeriodSeconds: in.timing.TerminationGracePeriodSeconds,
		StartupBudgetSeconds:          in.startupBudget(),
		LivenessBudgetSeconds:         in.livenessBudget(),
		MinReadySeconds:               in.timing.MinReadySeconds,
		ProgressDeadlineSeconds:       in.progressDeadlineSeconds(),
	}
}

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// GracefulApp runs a server as a Deployment, a Service and a PodDisruptionBudget, so that scaling, rollouts and node drains lose no request.
//
// You declare two times: how long the slowest start takes, and how long the longest request takes. The operator derives
// the probes, the preStop hook, the grace period, the rollout and the disruption settings. They obey the rule
// t3 > t1 + t2: the grace period (t3) is longer than the shutdown of the app (t1) plus the preStop hook (t2).
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=gapp,categories=all
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.spec.replicas`,description="desired number of pods"
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.readyReplicas`,description="pods that pass their readiness probe"
// +kubebuilder:printcolumn:name="Up-to-date",type=integer,JSONPath=`.status.updatedReplicas`,description="pods of the newest pod template"
// +kubebuilder:printcolumn:name="Available",type=integer,JSONPath=`.status.availableReplicas`,description="pods that have been ready for minReadySeconds"
// +kubebuilder:printcolumn:name="Draining",type=integer,JSONPath=`.status.terminatingReplicas`,description="deleted pods that still finish their requests"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="reason of the condition Ready; Available if Ready is True"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="PreStop",type=integer,priority=1,JSONPath=`.status.timing.preStopSeconds`,description="duration of the preStop hook, in seconds"
// +kubebuilder:printcolumn:name="Shutdown",type=integer,priority=1,JSONPath=`.status.timing.shutdownSeconds`,description="time that the app has between SIGTERM and its exit, in seconds"
// +kubebuilder:printcolumn:name="Grace",type=integer,priority=1,JSONPath=`.status.timing.terminationGracePeriodSeconds`,description="time between the deletion of a pod and SIGKILL, in seconds"
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="message of the condition Ready"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="the name must be a DNS-1035 label, because the Service has the same name: at most 63 characters, lower-case letters, digits and '-', beginning with a letter and ending with a letter or digit",fieldPath=".metadata.name"
type GracefulApp struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// The desired state of the app. The operator derives each time that is left out, and checks each time that is set.
	// +required
	Spec GracefulAppSpec `json:"spec,omitzero"`

	// The observed state of the app.
	// +optional
	Status GracefulAppStatus `json:"status,omitzero"`
}

// GracefulAppList is a list of GracefulApps.
// +kubebuilder:object:root=true
type GracefulAppList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GracefulApp `json:"items"`
}

func init() {
	SchemeBuilder.Register(func(scheme *runtime.Scheme) error {
		scheme.AddKnownTypes(SchemeGroupVersion, &GracefulApp{}, &GracefulAppList{})
		return nil
	})
}

// GracefulAppSpec has the fields of a Deployment. The operator derives the times that are left out.
// +kubebuilder:validation:XValidation:rule="has(self.selector) == has(oldSelf.selector) && (!has(self.selector) || self.selector == oldSelf.selector)",message="the selector is immutable, because it decides which pods belong to the app; to change it, delete the GracefulApp and create it again",fieldPath=".selector"
// +kubebuilder:validation:XValidation:rule="!has(self.minReadySeconds)",fieldPath=".minReadySeconds",message="minReadySeconds is derived: a new pod counts as available after t2, when every proxy knows it; set spec.timing.preStopSeconds instead, or leave both out"
type GracefulAppSpec struct {
	// Number of desired pods, 0 or more. `kubectl scale`, HorizontalPodAutoscalers and KEDA write it through the scale
	// subresource. Default: 1. A change restarts no pod. From 2 on, the app has a PodDisruptionBudget. The number has no effect
	// while a HorizontalPodAutoscaler targets the Deployment instead of the GracefulApp.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// The times of the app, in seconds: how long it takes to start, to answer a request, and to terminate.
	// +required
	Timing TimingSpec `json:"timing,omitzero"`

	// The pods, as in a Deployment. The serving container is the one that the annotation
	// kubectl.kubernetes.io/default-container names, or else the first. The operator adds probes, a preStop hook and the
	// environment variables GRACEFUL_SHUTDOWN_SEC (t1), GRACEFUL_PRESTOP_SEC (t2), GRACEFUL_TERMINATION_SEC (t3) and
	// GRACEFUL_REQUEST_SEC (requestSeconds) to it, and to each other container and native sidecar (an init container with
	// restartPolicy Always) that a Service port targets. With drain.mode Sidecar, GRACEFUL_SHUTDOWN_SEC is exitSeconds, and
	// GRACEFUL_REQUEST_SEC is not set. With derivation version 1 (status.derivation.version) only the serving container gets
	// them, without GRACEFUL_REQUEST_SEC.
	// terminationGracePeriodSeconds and preStop.sleep must be left out here, because spec.timing decides them.
	// +required
	Template corev1.PodTemplateSpec `json:"template,omitzero"`

	// Labels that select the app's pods. Immutable. If it is set, the template must have these labels. Default: the label
	// apps.gracefulapp.dev/name with the app's name, which the operator adds to the template.
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// The Service that sends requests to the pods. It has the app's name. Default: type ClusterIP, and one port, `http`, 80,
	// which targets the serving container's first port.
	// +optional
	Service *ServiceTemplate `json:"service,omitempty"`

	// Labels and annotations of the Deployment, the Service and the PodDisruptionBudget, not of the pods. The operator's own keys
	// take precedence, and so does service.metadata for the Service. A change restarts no pod. Default: none.
	// +optional
	CommonMetadata CommonMetadata `json:"commonMetadata,omitzero"`

	// While true, a changed template is not rolled out, so no pod is replaced. Scaling continues. A paused app can adopt a
	// running Deployment without a restart (annotation apps.gracefulapp.dev/adopt); until paused is false, the Service does
	// not change either. Default: false, as in a Deployment.
	// +optional
	Paused *bool `json:"paused,omitempty"`

	// How the requests of a terminating pod are drained: by the app itself, or by a sidecar in front of an app that knows nothing
	// of draining. Default: by the app itself. A change restarts the pods.
	// +optional
	Drain *DrainSpec `json:"drain,omitempty"`

	// How a rollout replaces the pods. Default: maxUnavailable 0 and maxSurge 25%, so that a rollout never runs fewer pods than
	// spec.replicas. A change restarts no pod.
	// +optional
	Strategy RolloutStrategy `json:"strategy,omitzero"`

	// How long a rollout may make no progress before the app is Stalled, in seconds. The time of init containers counts.
	// Must be more than startupBudgetSeconds + minReadySeconds (both in status.timing). Default: max(600,
	// startupBudgetSeconds + minReadySeconds + 60), and t3 more if maxUnavailable is not 0, because a new pod may have to
	// wait for the end of an old one. A change restarts no pod.
	// +kubebuilder:validation:Minimum=1
	// +optional
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`

	// Must be left out. Default: t2 (spec.timing.preStopSeconds), in seconds.
	// +optional
	MinReadySeconds *int32 `json:"minReadySeconds,omitempty"`

	// Number of old ReplicaSets to keep for `kubectl rollout history`. Default: 10, as in a Deployment.
	// +kubebuilder:validation:Minimum=0
	// +optional
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
}

// The CEL rules of TimingSpec repeat the core of internal/plan/checks_timing.go, so that the API server enforces them while the webhook is
// unavailable. A test keeps the two texts equal.

// TimingSpec holds the two times that only the app's owner knows (startupSeconds, requestSeconds), and the three times of a graceful
// termination, which replace derived values: t1 (shutdownSeconds), t2 (preStopSeconds), t3 (terminationGracePeriodSeconds).
//
// +kubebuilder:validation:XValidation:rule="!has(self.terminationGracePeriodSeconds) || self.terminationGracePeriodSeconds > (has(self.shutdownSeconds) ? self.shutdownSeconds : self.requestSeconds + 5) + (has(self.preStopSeconds) ? self.preStopSeconds : 5)",fieldPath=".terminationGracePeriodSeconds",messageExpression="'t3 > t1 + t2 does not hold: terminationGracePeriodSeconds %d is not more than shutdownSeconds %d + preStopSeconds %d = %d, so SIGKILL would cut requests short; set it to at least %d or leave it out'.format([self.terminationGracePeriodSeconds, has(self.shutdownSeconds) ? self.shutdownSeconds : self.requestSeconds + 5, has(self.preStopSeconds) ? self.preStopSeconds : 5, (has(self.shutdownSeconds) ? self.shutdownSeconds : self.requestSeconds + 5) + (has(self.preStopSeconds) ? self.preStopSeconds : 5), (has(self.shutdownSeconds) ? self.shutdownSeconds : self.requestSeconds + 5) + (has(self.preStopSeconds) ? self.preStopSeconds : 5) + 1])",message="t3 > t1 + t2 does not hold: terminationGracePeriodSeconds must be more than shutdownSeconds + preStopSeconds"
// +kubebuilder:validation:XValidation:rule="!has(self.shutdownSeconds) || self.shutdownSeconds >= self.requestSeconds",fieldPath=".shutdownSeconds",messageExpression="'t1 >= requestSeconds does not hold: shutdownSeconds %d is less than requestSeconds %d, so the longest request could not end; set it to at least %d or leave it out'.format([self.shutdownSeconds, self.requestSeconds, self.requestSeconds])",message="t1 >= requestSeconds does not hold: shutdownSeconds must be at least requestSeconds"
// +kubebuilder:validation:XValidation:rule="!has(self.preStopSeconds) || self.preStopSeconds >= 1",fieldPath=".preStopSeconds",messageExpression="'t2 >= 1 does not hold: preStopSeconds is %d, so SIGTERM would arrive while proxies still send requests; set it to 5 or more or leave it out'.format([self.preStopSeconds])",message="t2 >= 1 does not hold: preStopSeconds must be at least 1"
// +kubebuilder:validation:XValidation:rule="self.startupSeconds <= 86400",fieldPath=".startupSeconds",messageExpression="'startupSeconds %d is more than 86400 (one day)'.format([self.startupSeconds])",message="startupSeconds must be at most 86400 (one day)"
// +kubebuilder:validation:XValidation:rule="self.requestSeconds <= 86400",fieldPath=".requestSeconds",messageExpression="'requestSeconds %d is more than 86400 (one day)'.format([self.requestSeconds])",message="requestSeconds must be at most 86400 (one day)"
// +kubebuilder:validation:XValidation:rule="!has(self.shutdownSeconds) || self.shutdownSeconds <= 86400",fieldPath=".shutdownSeconds",messageExpression="'shutdownSeconds %d is more than 86400 (one day)'.format([self.shutdownSeconds])",message="shutdownSeconds must be at most 86400 (one day)"
// +kubebuilder:validation:XValidation:rule="!has(self.preStopSeconds) || self.preStopSeconds <= 86400",fieldPath=".preStopSeconds",messageExpression="'preStopSeconds %d is more than 86400 (one day)'.format([self.preStopSeconds])",message="preStopSeconds must be at most 86400 (one day)"
// +kubebuilder:validation:XValidation:rule="!has(self.terminationGracePeriodSeconds) || self.terminationGracePeriodSeconds <= 259200",fieldPath=".terminationGracePeriodSeconds",messageExpression="'terminationGracePeriodSeconds %d is more than 259200 (three days)'.format([self.terminationGracePeriodSeconds])",message="terminationGracePeriodSeconds must be at most 259200 (three days)"
type TimingSpec struct {
	// The slowest start, in seconds: from container start to ready. 1 to 86400, required. The startup probe allows at least
	// twice this time, and at least 10 s more than it, before the kubelet restarts the container.
	// +kubebuilder:validation:Minimum=1
	// +required
	StartupSeconds int32 `json:"startupSeconds,omitempty"`

	// The longest request that the app must finish, in seconds. 1 to 86400, required. The operator derives t1 from it.
	// It also derives the liveness probe's failureThreshold, so that the kubelet does not restart a server that is busy with
	// such a request for up to 300 s; for more, set failureThreshold in the template. The app reads the time from
	// GRACEFUL_REQUEST_SEC, from derivation version 2 on and with drain.mode Hook.
	// +kubebuilder:validation:Minimum=1
	// +required
	RequestSeconds int32 `json:"requestSeconds,omitempty"`

	// t1: the time that the app needs to shut down after SIGTERM, in seconds. At least requestSeconds, at most 86400.
	// Default: requestSeconds + 5. The app reads it from GRACEFUL_SHUTDOWN_SEC. With drain.mode Sidecar: how long the sidecar
	// waits for the requests in flight; the app does not get it.
	// +optional
	ShutdownSeconds *int32 `json:"shutdownSeconds,omitempty"`

	// How long the app takes to exit after SIGTERM when no request is in flight, in seconds. 1 to 86400. Only with drain.mode
	// Sidecar, where the app reads it from GRACEFUL_SHUTDOWN_SEC. Default: 5.
	// +optional
	ExitSeconds *int32 `json:"exitSeconds,omitempty"`

	// t2: how long the preStop hook delays SIGTERM, in seconds. The pod still serves, while every proxy and load balancer
	// removes its endpoint. 1 to 86400. Default: 5, because kube-proxy may wait a second before it applies an update; a cloud
	// load balancer needs more. The app reads it from GRACEFUL_PRESTOP_SEC. With drain.mode Sidecar, the sidecar accepts
	// connections for at least this time, and SIGTERM comes when no request is in flight.
	// +optional
	PreStopSeconds *int32 `json:"preStopSeconds,omitempty"`

	// t3: the pod's grace period, from the start of termination to SIGKILL, in seconds. More than t1 + t2, at most
	// 259200. Default: t1 + t2 + 5, and 5 more for each native sidecar. With drain.mode Sidecar: t1 + t2 + 15 + exitSeconds, and 5
	// more for each other native sidecar. The app reads it from GRACEFUL_TERMINATION_SEC.
	// +optional
	TerminationGracePeriodSeconds *int32 `json:"terminationGracePeriodSeconds,omitempty"`
}

// Selector selects pods by labels. It has only matchLabels, because a Service supports no expressions.
type Selector struct {
	// Labels that every pod of the app has and that no other pod has.
	// +kubebuilder:validation:MinProperties=1
	// +required
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

// ServiceTemplate describes the Service in front of the pods.
type ServiceTemplate struct {
	// Labels and annotations of the Service.
	// +optional
	Metadata ServiceMetadata `json:"metadata,omitzero"`

	// The spec of the Service. selector, publishNotReadyAddresses, externalIPs and the type ExternalName must be left out.
	// The operator replaces a targetPort by the name of the container port, so that a rollout can change the port's number
	// and no request reaches a closed port. Default: one port, `http`, 80, which targets the serving container's first port.
	// +optional
	Spec corev1.ServiceSpec `json:"spec,omitzero"`
}

// ServiceMetadata holds the labels and annotations of the Service. The Service has the app's name.
type ServiceMetadata struct {
	// Labels that are added to the Service.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations that are added to the Service; many cloud load balancers are configured by them.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// CommonMetadata holds labels and annotations of every owned object.
type CommonMetadata struct {
	// Labels of the three objects. Default: none.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations of the three objects; none under deployment.kubernetes.io/. Default: none.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// GracefulAppStatus is the observed state of the app. Counts leave out terminating pods, unless a field says otherwise.
type GracefulAppStatus struct {
	// The metadata.generation that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Pods that exist and are not terminating. The scale subresource reports this number.
	// +optional
	Replicas int32 `json:"replicas"`

	// Pods made from the current template.
	// +optional
	UpdatedReplicas int32 `json:"updatedReplicas"`

	// Pods that pass their readiness probe.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// Pods that have been ready for t2 seconds (minReadySeconds), so that every proxy knows them.
	// +optional
	AvailableReplicas int32 `json:"availableReplicas"`

	// Draining pods: they are terminating, and their containers have not ended yet. Absent before Kubernetes 1.35, where a
	// Deployment does not report the number.
	// +optional
	TerminatingReplicas *int32 `json:"terminatingReplicas,omitempty"`

	// The pods' label selector in text form, for the scale subresource and HorizontalPodAutoscalers.
	// +optional
	Selector string `json:"selector,omitempty"`

	// The times that the operator has derived from spec.timing or read there. Absent until the spec has been valid once.
	// +optional
	Timing *TimingStatus `json:"timing,omitempty"`

	// The version of the formulas that derived the Deployment, and a digest of the spec. Absent until the first derivation.
	// +optional
	Derivation *DerivationStatus `json:"derivation,omitempty"`

	// The drain sidecar. Absent in drain mode Hook.
	// +optional
	Drain *DrainStatus `json:"drain,omitempty"`

	// Ready is always present. The others are Reconciling, Stalled, Draining, ScaleConflict and DerivationConflict,
	// which are present only when True.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TimingStatus has the times that apply to the app, in seconds.
type TimingStatus struct {
	// t1: the time that the app has to shut down after SIGTERM, in seconds. With a drain sidecar: how long that waits for the
	// requests in flight.
	// +optional
	ShutdownSeconds int32 `json:"shutdownSeconds,omitempty"`

	// With a drain sidecar: how long the app takes to exit when no request is in flight, in seconds. Otherwise absent.
	// +optional
	ExitSeconds int32 `json:"exitSeconds,omitempty"`

	// t2: how long the preStop hook delays SIGTERM, in seconds. With a drain sidecar: how long that accepts connections at least.
	// +optional
	PreStopSeconds int32 `json:"preStopSeconds,omitempty"`

	// t3: the pod's grace period, from the start of termination to SIGKILL, in seconds. More than t1 + t2.
	// +optional
	TerminationGracePeriodSeconds int32 `json:"terminationGracePeriodSeconds,omitempty"`

	// How long a pod may take to start, in seconds: initialDelaySeconds + periodSeconds x failureThreshold of the startup
	// probe. With several containers: the longest budget of the containers, plus the sum of the native sidecars' budgets.
	// +optional
	StartupBudgetSeconds int32 `json:"startupBudgetSeconds,omitempty"`

	// How long a container may fail its liveness probe before the kubelet restarts it, in seconds: periodSeconds x
	// failureThreshold. If Service ports target several containers: the shortest budget.
	// +optional
	LivenessBudgetSeconds int32 `json:"livenessBudgetSeconds,omitempty"`

	// How long a new pod must have been ready before the rollout may delete an old one, in seconds. Equal to t2.
	// +optional
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`

	// How long a rollout may make no progress before the app is Stalled, in seconds.
	// +optional
	ProgressDeadlineSeconds int32 `json:"progressDeadlineSeconds,omitempty"`
}

// DerivationStatus records how the Deployment was derived. The operator compares it with the spec to distinguish a change by the app's owner from a
// change that another client made to the Deployment.
type DerivationStatus struct {
	// The version of the derivation that made the pod template. An upgrade of the operator does not change it; a change of
	// spec.timing, spec.template or spec.drain, or the annotation apps.gracefulapp.dev/derivation, does.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Version int32 `json:"version,omitempty"`

	// SHA-256 of the spec.timing, spec.template and spec.drain from which the Deployment was derived.
	// +kubebuilder:validation:MinLength=1
	// +optional
	SpecDigest string `json:"specDigest,omitempty"`
}

package v1alpha1

// Condition types. Users wait for them and alerts name them, so they never change within a version.
const (
	// ConditionReady is present from the first reconcile on. True: the spec is valid, Deployment, Service and
	// PodDisruptionBudget are as derived, and updated = ready = available = desired replicas. Draining pods do not
	// count, and 0 of 0 is Ready.
	ConditionReady = "Ready"

	// ConditionReconciling is present, and then True, while the observed state differs from the desired state and the operator expects
	// progress (kstatus reads it as "in progress").
	ConditionReconciling = "Reconciling"

	// ConditionStalled is present, and then True, when the operator expects no progress until a user changes something (kstatus reads it
	// as "failed"). After ReasonProgressDeadlineExceeded and ReasonReplicaFailure the app may still become Ready by itself.
	ConditionStalled = "Stalled"

	// ConditionDraining is present, and then True, while deleted pods finish their requests. Ready does not depend on it, because
	// draining pods do not count there.
	ConditionDraining = "Draining"

	// ConditionScaleConflict is present, and then True, when a client other than the operator sets the Deployment's replicas. The operator
	// reverts a user's number, and the condition stays for ten minutes after that. The operator keeps the number of a HorizontalPodAutoscaler
	// that targets the Deployment, and the condition stays until the autoscaler targets the GracefulApp.
	ConditionScaleConflict = "ScaleConflict"

	// ConditionDerivationConflict is present, and then True, when the spec breaks a rule of the newest derivation version, or when the
	// operator does not know the derivation version that made the pod template. The pods keep running unchanged, and Ready reports their
	// state.
	ConditionDerivationConflict = "DerivationConflict"
)

// AnnotationAdopt, set to "true" on a GracefulApp, lets it take over a Deployment, Service and PodDisruptionBudget of its name that have no
// controller. spec.selector and spec.replicas must be the Deployment's, and spec.service must describe the Service. While spec.paused is
// true, no pod restarts and nothing changes for the clients of the Service.
const AnnotationAdopt = "apps.gracefulapp.dev/adopt"

// AnnotationAllowDeletion, set to "true" on a Deployment, Service or PodDisruptionBudget that a GracefulApp controls, or on the CRD, lets anyone
// with the permission delete it. Without it the policies gracefulapp-owned-objects and gracefulapp-definition deny the deletion, because a tool that
// prunes would cause an outage.
const AnnotationAllowDeletion = "apps.gracefulapp.dev/allow-deletion"

// AnnotationDerivation, on a GracefulApp, asks for a version of the derivation, for example "2"; while it is set, the app keeps that version. The
// operator sets it on the Deployment, to the version that made the pod template.
const AnnotationDerivation = "apps.gracefulapp.dev/derivation"

// AnnotationDrainImage, on a GracefulApp, names the image of the drain sidecar; a change restarts the pods. Without it, the app keeps the image that its
// pods have, also after an upgrade of the operator, and a first sidecar gets the operator's image.
const AnnotationDrainImage = "apps.gracefulapp.dev/drain-image"

// Reasons. Each is used by the conditions that its comment names, and by the event of the same name. The messages of Progressing, Scaling,
// Unavailable, Paused and ProgressDeadlineExceeded name a pod that is stuck, if there is one, and why.
const (
	// ReasonAvailable (Ready=True): every desired replica is up to date and available.
	ReasonAvailable = "Available"

	// ReasonProgressing (Ready=False, Reconciling): a changed template, Service or disruption budget is being rolled out.
	ReasonProgressing = "Progressing"

	// ReasonScaling (Ready=False, Reconciling): the number of pods differs from spec.replicas, and pods are being added or removed.
	ReasonScaling = "Scaling"

	// ReasonUnavailable (Ready=False, Reconciling): pods that were available before no longer are.
	ReasonUnavailable = "Unavailable"

	// ReasonPaused (Ready=False, Reconciling): a changed template is not rolled out, because spec.paused is true or another client has
	// paused the Deployment.
	ReasonPaused = "Paused"

	// ReasonApplyFailed (Ready=False, Reconciling): the API server rejected an owned object, or another client has reverted every
	// write of the last minute. The operator retries.
	ReasonApplyFailed = "ApplyFailed"

	// ReasonInvalidSpec (Ready=False, Stalled): the spec breaks an invariant, so the operator derives nothing from it. The running pods
	// stay, and the operator still scales them to spec.replicas.
	ReasonInvalidSpec = "InvalidSpec"

	// ReasonNameTaken (Ready=False, Stalled): a Deployment, Service or PodDisruptionBudget has the app's name and another owner. The
	// operator does not change it.
	ReasonNameTaken = "NameTaken"

	// ReasonRejected (Ready=False, Stalled): the API server rejects an owned object as invalid or forbidden, so a retry cannot succeed.
	ReasonRejected = "Rejected"

	// ReasonAltered (Ready=False, Stalled): an admission policy, a webhook or a disabled feature gate changes a derived field
	// whenever it is applied. The message names both values.
	ReasonAltered = "Altered"

	// ReasonProgressDeadlineExceeded (Ready=False, Stalled): a rollout made no progress for progressDeadlineSeconds. The rollout
	// continues, and the app becomes Ready when its pods do, for example when a long init container has ended.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"

	// ReasonReplicaFailure (Ready=False, Stalled): pods cannot be created, for example because a quota is used up.
	ReasonReplicaFailure = "ReplicaFailure"

	// ReasonPodsTerminating (Draining=True): deleted pods have not ended yet.
	ReasonPodsTerminating = "PodsTerminating"

	// ReasonDrainIncomplete (only an event): the drain sidecar of a deleted pod ended before each request had a complete response, or it was killed.
	ReasonDrainIncomplete = "DrainIncomplete"

	// ReasonDeploymentScaled (ScaleConflict=True): another client scaled the Deployment instead of the GracefulApp, and the operator
	// reverted it.
	ReasonDeploymentScaled = "DeploymentScaled"

	// ReasonAutoscalerTargetsDeployment (ScaleConflict=True): a HorizontalPodAutoscaler's scaleTargetRef is the Deployment
	// instead of the GracefulApp. The GracefulApp keeps the replicas that the autoscaler sets, and ignores spec.replicas.
	ReasonAutoscalerTargetsDeployment = "AutoscalerTargetsDeployment"

	// ReasonRuleTightened (DerivationConflict=True): the spec breaks a rule that is newer than the app's derivation version. The app
	// keeps its version until its owner corrects the spec.
	ReasonRuleTightened = "RuleTightened"

	// ReasonUnknownDerivation (DerivationConflict=True): this operator does not know the version that derived the Deployment, or the
	// version that the annotation asks for, as after a downgrade. The operator keeps such a template unchanged and still scales it.
	// With Ready=False, Stalled: the owner has changed the spec since, and this operator cannot derive from it.
	ReasonUnknownDerivation = "UnknownDerivation"
)

package v1alpha1

// Condition types. Users wait for them and alerts name them, so they never change within a version.
const (
	// ConditionReady is present from the first reconcile on. True: the spec is valid, Deployment, Service and
	// PodDisruptionBudget are as derived, and updated = ready = available = desired replicas. Draining pods do not
	// count, and 0 of 0 is Ready.
	ConditionReady = "Ready"

	// ConditionReconciling is present, and then True, while the cluster is on its way to the declared state
	// (kstatus reads it as "in progress").
	ConditionReconciling = "Reconciling"

	// ConditionStalled is present, and then True, when no progress is expected unless somebody acts (kstatus reads it as
	// "failed"). After ReasonProgressDeadlineExceeded and ReasonReplicaFailure the app may still become Ready by itself.
	ConditionStalled = "Stalled"

	// ConditionDraining is present, and then True, while deleted pods finish their requests. It says nothing about Ready:
	// draining pods do not count there.
	ConditionDraining = "Draining"

	// ConditionScaleConflict is present, and then True, when another client than the GracefulApp sets the Deployment's replicas. What a user
	// writes is reverted, and the condition stays for ten minutes after that. The number of a HorizontalPodAutoscaler that targets the
	// Deployment is kept, and the condition stays until the autoscaler targets the GracefulApp.
	ConditionScaleConflict = "ScaleConflict"

	// ConditionDerivationConflict is present, and then True, when the derivation version that made the pod template does not fit: the
	// spec breaks a rule of the newest version, or the operator does not know the version. The pods run on as they are; Ready says
	// how they are.
	ConditionDerivationConflict = "DerivationConflict"
)

// AnnotationAdopt, set to "true" on a GracefulApp, lets it take over a Deployment, Service and PodDisruptionBudget of its name that have no
// controller. spec.selector and spec.replicas must be the Deployment's, and spec.service must describe the Service. While spec.paused is
// true, no pod restarts and nothing changes for the clients of the Service.
const AnnotationAdopt = "apps.gracefulapp.dev/adopt"

// AnnotationAllowDeletion, set to "true" on a Deployment, Service or PodDisruptionBudget that a GracefulApp controls, lets anyone with the
// permission delete it. Without it the policy gracefulapp-owned-objects denies the deletion, since a tool that prunes would cause an
// outage.
const AnnotationAllowDeletion = "apps.gracefulapp.dev/allow-deletion"

// AnnotationDerivation, on a GracefulApp, asks for a version of the derivation, for example "2"; while it is set, the app keeps that version. The
// operator sets it on the Deployment, to the version that made the pod template.
const AnnotationDerivation = "apps.gracefulapp.dev/derivation"

// Reasons. Each is used by the conditions that its comment names, and by the event of the same name. The messages of Progressing, Scaling,
// Unavailable, Paused and ProgressDeadlineExceeded name a pod that is stuck, if there is one, and why.
const (
	// ReasonAvailable (Ready=True): every desired replica is up to date and available.
	ReasonAvailable = "Available"

	// ReasonProgressing (Ready=False, Reconciling): a changed template, Service or disruption budget is being rolled out.
	ReasonProgressing = "Progressing"

	// ReasonScaling (Ready=False, Reconciling): the number of pods is on its way to spec.replicas.
	ReasonScaling = "Scaling"

	// ReasonUnavailable (Ready=False, Reconciling): pods that were available before no longer are.
	ReasonUnavailable = "Unavailable"

	// ReasonPaused (Ready=False, Reconciling): a changed template waits, because spec.paused is true or somebody has paused the
	// Deployment.
	ReasonPaused = "Paused"

	// ReasonApplyFailed (Ready=False, Reconciling): the API server did not take an owned object, or another client has
	// undone every write of the last minute; it is tried again.
	ReasonApplyFailed = "ApplyFailed"

	// ReasonInvalidSpec (Ready=False, Stalled): the spec breaks an invariant, so nothing is derived from it. The pods that
	// run go on, and spec.replicas is still passed on to them.
	ReasonInvalidSpec = "InvalidSpec"

	// ReasonNameTaken (Ready=False, Stalled): a Deployment, Service or PodDisruptionBudget of the app's name belongs to
	// somebody else. It is not touched.
	ReasonNameTaken = "NameTaken"

	// ReasonRejected (Ready=False, Stalled): the API server refuses a child as invalid or forbidden, which no retry heals.
	ReasonRejected = "Rejected"

	// ReasonAltered (Ready=False, Stalled): a policy of the cluster changes a derived field whenever it is applied. The message
	// names both values.
	ReasonAltered = "Altered"

	// ReasonProgressDeadlineExceeded (Ready=False, Stalled): a rollout made no progress for progressDeadlineSeconds. It goes on, and
	// the app becomes Ready by itself if its pods do, for example when a long init container has ended.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"

	// ReasonReplicaFailure (Ready=False, Stalled): pods cannot be created, for example for want of quota.
	ReasonReplicaFailure = "ReplicaFailure"

	// ReasonPodsTerminating (Draining=True): deleted pods have not ended yet.
	ReasonPodsTerminating = "PodsTerminating"

	// ReasonDeploymentScaled (ScaleConflict=True): somebody scaled the Deployment instead of the GracefulApp; it was undone.
	ReasonDeploymentScaled = "DeploymentScaled"

	// ReasonAutoscalerTargetsDeployment (ScaleConflict=True): a HorizontalPodAutoscaler's scaleTargetRef is the Deployment
	// instead of the GracefulApp. The GracefulApp keeps the replicas that the autoscaler sets, and ignores spec.replicas.
	ReasonAutoscalerTargetsDeployment = "AutoscalerTargetsDeployment"

	// ReasonRuleTightened (DerivationConflict=True): the spec breaks a rule that is newer than the app's derivation version. The app
	// keeps its version until its owner corrects the spec.
	ReasonRuleTightened = "RuleTightened"

	// ReasonUnknownDerivation (DerivationConflict=True): the Deployment was derived, or the annotation asks to derive it, by a version
	// that this operator does not know, as after a downgrade. A template of an unknown version stays as it is and is still scaled.
	// With Ready=False, Stalled: the owner has changed the spec since, and this operator cannot derive from it.
	ReasonUnknownDerivation = "UnknownDerivation"
)

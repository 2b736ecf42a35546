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

	// ConditionStalled is present, and then True, when waiting will not help and somebody has to act (kstatus reads it
	// as "failed").
	ConditionStalled = "Stalled"
)

// Reasons. Each is used by the conditions that its comment names, and by the event of the same name.
const (
	// ReasonAvailable (Ready=True): every desired replica is up to date and available.
	ReasonAvailable = "Available"

	// ReasonProgressing (Ready=False, Reconciling): a changed template, Service or disruption budget is being rolled out.
	ReasonProgressing = "Progressing"

	// ReasonScaling (Ready=False, Reconciling): the number of pods is on its way to spec.replicas.
	ReasonScaling = "Scaling"

	// ReasonUnavailable (Ready=False, Reconciling): pods that were available before no longer are.
	ReasonUnavailable = "Unavailable"

	// ReasonApplyFailed (Ready=False, Reconciling): the API server did not take a child; it is tried again.
	ReasonApplyFailed = "ApplyFailed"

	// ReasonInvalidSpec (Ready=False, Stalled): the spec breaks an invariant, so nothing is derived from it. The pods that
	// run go on, and spec.replicas is still passed on to them.
	ReasonInvalidSpec = "InvalidSpec"

	// ReasonNameTaken (Ready=False, Stalled): a Deployment, Service or PodDisruptionBudget of the app's name belongs to
	// somebody else. It is not touched.
	ReasonNameTaken = "NameTaken"

	// ReasonRejected (Ready=False, Stalled): the API server refuses a child as invalid or forbidden, which no retry heals.
	ReasonRejected = "Rejected"

	// ReasonProgressDeadlineExceeded (Ready=False, Stalled): the new pods did not become available in time.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"

	// ReasonReplicaFailure (Ready=False, Stalled): pods cannot be created, for example for want of quota.
	ReasonReplicaFailure = "ReplicaFailure"
)

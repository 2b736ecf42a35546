package plan

// Warning is a warning's row in docs/refusals.md, in Markdown. t1, t2, t3, S and R are the timing's fields.
type Warning struct {
	// When is the condition of the warning. docs/timing-model.md has the same words.
	When string
	Why  string
	// Instead tells the user how to correct the spec, or where to look.
	Instead string
}

type caution struct {
	Warning
	find func(*input) []string
}

// plainSleepLoss is the lab's result with the plain sleep: requests lost on keep-alive connections, of all requests. A test compares it with
// docs/lab.md.
const plainSleepLoss = "36 of 147,453"

// warnings are about settings that are valid and may be intended. They never block anything.
var warnings = []caution{
	{Warning{"t2 under 5", "endpoint changes may need longer to reach every proxy", "5 or more, or leave t2 out"}, warnShortPreStop},
	{Warning{"t1 - R under 3", "after SIGTERM, a server can accept a connection from a late proxy only if its longest request still ends within t1", "a t1 of R + 3 or more, or leave t1 out"}, warnLateConnections},
	{Warning{"no drain-aware hook", "a keep-alive connection may lose a request at SIGTERM ([measured](lab.md#a-run): " + plainSleepLoss + ")",
		"an `httpGet` hook, such as `/drain`, after which the app answers with `Connection: close`. An app with a gRPC probe needs none, because " +
			"its GOAWAY at SIGTERM has the same effect"}, warnEach(warnKeepAlive)},
	{Warning{"an exec hook without a readable wait", "the hook must last t2, because SIGTERM follows as soon as it returns",
		"make sure that it does, or write a plain `sleep` t2; the operator reads no wait in loops, branches, pipes and quotes"}, warnEach(warnUnreadableHook)},
	{Warning{"no replica", "every request is refused until a pod is ready, and no component queues the requests", "1 or more"},
		warnNoReplica},
	{Warning{"one replica, and t2 under S + 10", "draining its node loses the requests of about S - t2 seconds",
		"2 replicas, or bridge the gap with a t2 of S + 10"}, warnOneReplica},
	{Warning{"`maxUnavailable` of one pod or more", "this number of replicas is missing during a rollout; if it is all of them, requests are lost until a new pod is ready",
		"leave it out, unless no two pods can run side by side"}, warnMissingPods},
	{Warning{"required pod anti-affinity between the app's own pods, and `maxUnavailable` 0", "a new pod needs a node (or zone) without an old one, which ends " +
		"only after the new one is available. Without a spare node (or zone) the new pod stays Pending", "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, a spare " +
		"node, or `preferredDuringSchedulingIgnoredDuringExecution`. Anti-affinity with `matchLabelKeys: [pod-template-hash]` needs none"}, warnAntiAffinity},
	{Warning{"`hostPort` or `hostNetwork`, and `maxUnavailable` 0", "a new pod needs a node without an old one, because a node has each port once: without a " +
		"spare node the new pod stays Pending", "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, or a spare node"}, warnHostPorts},
	{Warning{"a PersistentVolumeClaim, and `maxUnavailable` 0", "if its access mode is ReadWriteOnce or ReadWriteOncePod, the new pod waits for the old one's volume",
		"`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, or a ReadWriteMany volume"}, warnClaims},
	{Warning{"`internalTrafficPolicy: Local`", "a node refuses requests as soon as its last pod is gone, even if pods run on other nodes",
		"`Cluster`, or leave it out"}, warnInternalTraffic},
	{Warning{"`externalTrafficPolicy: Local`", "a node refuses requests from the end of its last pod until the load balancer's health check fails there",
		"a t2 longer than that, or leave it out"}, warnExternalTraffic},
	{Warning{"type LoadBalancer with t2 under 30", "cloud load balancers continue to send requests for longer", "a t2 of 30 or more"},
		warnLoadBalancer},
	{Warning{"headless with t2 under 30", "clients keep addresses for the DNS record's time to live", "a t2 of 30 or more"}, warnHeadless},
	{Warning{"`clusterIP: None` is removed from a headless Service", "a `clusterIP` cannot change, so the Service stays headless",
		"`clusterIP: None`, or delete the Service, as the message says: the operator creates it again"}, warnKeptHeadless},
	{Warning{"`sessionAffinityConfig` without `sessionAffinity: ClientIP`", "it has no effect", "`sessionAffinity: ClientIP`, or leave it out"},
		warnAffinityConfig},
	{Warning{"readiness by open port", "the port is open before the app can serve, and still open when it no longer can",
		"a `readinessProbe` on an HTTP endpoint that answers 200 only when the app can serve"}, warnEach(warnReadinessByPort)},
	{Warning{"liveness by open port", "a deadlocked app has an open port too", "a `livenessProbe` on an HTTP endpoint of its own"},
		warnEach(warnLivenessByPort)},
	{Warning{"readiness and liveness on one endpoint", "the kubelet restarts a pod that should only be removed from the endpoints of the Service", "two endpoints"},
		warnEach(warnSharedEndpoint)},
	{Warning{"a liveness probe that tolerates failures for R or less, if R is at most 300", "the kubelet may kill a server that is busy with its longest request",
		"a higher `failureThreshold`, or leave it out. It tolerates failures for period x (threshold - 1), because the first failure can happen at " +
			"any moment of the first period; initialDelay counts only for the start"}, warnEach(warnImpatientLiveness)},
	{Warning{"R over 300, and no `failureThreshold` of the liveness probe", "the derived time follows R only up to 300 s, because a deadlocked server must not " +
		"stay for hours", "a `failureThreshold`: the probe tolerates failures for period x threshold"}, warnEach(warnBoundedPatience)},
	{Warning{"t3 over 600", "cluster autoscaler waits at most 600 s and then kills the pod", "raise its flag `--max-graceful-termination-sec` too"},
		warnLongGracePeriod},
	{Warning{"`shareProcessNamespace`", "the app is not PID 1 of its container", "make sure that SIGTERM reaches it, or leave the field out"},
		warnSharedProcessNamespace},
	{Warning{"a further container without a hook", "it gets a `sleep` of t2, so that it does not end before the app; but both get SIGTERM at the same time",
		"make it a native sidecar (an init container with `restartPolicy: Always`), which ends after the app"}, warnOtherContainers},
	{Warning{"a native sidecar with a hook other than a sleep, if no Service port targets it", "the hook runs as soon as the pod is deleted, while the app still serves",
		"leave it out"}, warnSidecarHook},
	{Warning{"an explicit t3 without room for native sidecars", "they stop one after another after the app has ended",
		"more than t1 + t2 + 5 for each of them, or leave t3 out"}, warnSidecarRoom},
	{Warning{"a shell that starts the server without exec", "SIGTERM may reach the shell but not the server",
		"`exec` before the server's command, or no shell"}, warnEach(warnShellCommand)},
	{Warning{"npm, npx, yarn or pnpm that starts the server", "SIGTERM may reach it but not the server", "the server's own command"},
		warnEach(warnPackageManager)},
	{Warning{"an exec hook that needs a shell", "in an image without a shell the hook fails, and SIGTERM comes at once",
		"leave the hook out to get Kubernetes' own sleep, which needs no program"}, warnEach(warnHookShell)},
	{Warning{"a stop signal other than SIGTERM", "the app may handle SIGTERM only", "make sure that it shuts down gracefully on this signal"},
		warnEach(warnStopSignal)},
	{Warning{"readiness gates", "no pod is Ready until a controller sets the conditions of its gates; until then a rollout waits, and the old pods continue " +
		"to serve", "make sure that the controller which sets them runs"}, warnReadinessGates},
	{Warning{"an init container with `restartPolicy: Never`", "each failure leaves a failed pod, and the next one is created without a backoff",
		"leave it out: a failed init container is restarted, with a backoff"}, warnInitRestart},
	{Warning{"a restart rule `RestartAllContainers`", "the kubelet kills all containers of the pod without a grace period",
		"leave the rule out"}, warnRestartOfAll},
	{Warning{"on adoption: `spec.service` changes a field that the clients of the Service notice", "the clients may lose requests",
		"the live Service's value, and change it when traffic is low"}, warnAdoptedService},
	{Warning{"a label of `commonMetadata` that the operator sets itself", "the operator's value wins", "leave it out"}, warnReservedLabels},
	{Warning{"`progressDeadlineSeconds` under the startup budget + t2 + t3, where a new pod waits for the end of an old one", "each rollout would count as failed",
		"a higher number, or leave it out"}, warnShortDeadline},
	{Warning{"on adoption: the Deployment's `progressDeadlineSeconds` is higher than the GracefulApp's", "a rollout with long init containers counts as failed earlier than before",
		"the Deployment's number in `spec.progressDeadlineSeconds`"}, warnAdoptedDeadline},
	{Warning{"on adoption: the Deployment has strategy Recreate or maxSurge 0, and `spec.strategy` is left out", "its pods may be unable to run side by side, and then " +
		"a rollout never ends", "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, if so"}, warnAdoptedStrategy},
	{Warning{"a foreign PodDisruptionBudget", "every eviction of a pod that two budgets select fails, so the operator creates none; with one replica a drain may never end",
		"make sure that it allows one eviction at a time, or delete it"}, warnForeignBudget},
	{Warning{"a HorizontalPodAutoscaler that targets the Deployment", "the GracefulApp keeps its number of replicas, and `spec.replicas` has no " +
		"effect", "let it target the GracefulApp, as the message says"}, warnAutoscaler},
}

// warnedElsewhere are the warnings of the webhook and its dry run (internal/children).
var warnedElsewhere = []Warning{
	{"a foreign object of the app's name", "the operator does not change it, and creates no object while it exists",
		"delete or rename it, or [adopt it](how-to/adopt.md)"},
	{"a temporary rejection", "a quota is exhausted, or a ServiceAccount does not exist yet: no change of the spec corrects that",
		"raise the quota, create the ServiceAccount; the operator retries"},
	{"a dry run that failed", "another webhook does not answer or does not support dry runs, the namespace is terminating, or the API " +
		"server is slow", "look at the status: it is [`Stalled`](status.md) if the API server rejected an owned object"},
	{"a dry run that was skipped", "the admission review did not come by the path that only the API server knows, as in the first seconds after the " +
		"operator was installed", "look at the status: it is [`Stalled`](status.md) if the API server rejected an owned object"},
}

// Warnings returns every warning that a user can get.
func Warnings() []Warning {
	var all []Warning
	for _, w := range warnings {
		all = append(all, w.Warning)
	}
	for _, w := range podWarnings {
		all = append(all, w.Warning)
	}
	return append(all, warnedElsewhere...)
}

func (in *input) warn() []string {
	var all []string
	for _, w := range warnings {
		all = append(all, w.find(in)...)
	}
	return all
}

package plan

// Warning is a warning's row in docs/refusals.md, in Markdown. t1, t2, t3, S and R are the timing's fields.
type Warning struct {
	// When is the condition of the warning. docs/timing-model.md has the same words.
	When string
	Why  string
	// Instead tells the user how to correct the spec, or where to look.
	Instead string
}

// warningCheck is a warning and the function that finds its causes in the spec.
type warningCheck struct {
	Warning
	find func(*input) []string
}

// warnings are the checks for settings that are valid but risky. A warning never blocks a write.
var warnings = []warningCheck{
	{
		Warning: Warning{
			When:    "t2 under 5",
			Why:     "endpoint changes may need longer to reach every proxy",
			Instead: "5 or more, or leave t2 out",
		},
		find: warnShortPreStop,
	},
	{
		Warning: Warning{
			When:    "`drain.mode: Sidecar`",
			Why:     "(1) the app sees the pod's own address as the client's; (2) clients that use the number of the app's port bypass the sidecar; (3) it forwards HTTP only; (4) a container with a hook of its own gets SIGTERM when that ends; (5) an autoscaler by the pod's CPU counts the sidecar",
			Instead: "(1) read X-Forwarded-For, trusted from the pod's own address, and have no rule that allows a path for the server's own address only; (2) use the port's name; (3) an HTTP probe; (4) leave the hook out; (5) a metric of type ContainerResource",
		},
		find: warnDrainSidecar,
	},
	{
		Warning: Warning{
			When:    "t1 - R under 3",
			Why:     "after SIGTERM, a server can accept a connection from a late proxy only if its longest request still ends within t1",
			Instead: "a t1 of R + 3 or more, or leave t1 out",
		},
		find: ofHook(warnLateConnections),
	},
	{
		Warning: Warning{
			When: "no drain-aware hook",
			Why:  "a keep-alive connection may lose a request at SIGTERM ([measured](lab.md#a-run))",
			Instead: "an `httpGet` hook, such as `/drain`, after which the app answers with `Connection: close`. An app with a gRPC probe needs none, because " +
				"its GOAWAY at SIGTERM has the same effect",
		},
		find: ofHook(ofEachServer(warnKeepAlive)),
	},
	{
		Warning: Warning{
			When:    "an exec hook without a readable wait",
			Why:     "the hook must last t2, because SIGTERM follows as soon as it returns",
			Instead: "make sure that it does, or write a plain `sleep` t2; the operator reads no wait in loops, branches, pipes and quotes",
		},
		find: ofEachServer(warnUnreadableHook),
	},
	{
		Warning: Warning{
			When:    "no replica",
			Why:     "every request is refused until a pod is ready, and no component queues the requests",
			Instead: "1 or more",
		},
		find: warnNoReplica,
	},
	{
		Warning: Warning{
			When:    "one replica, and t2 under S + 10",
			Why:     "draining its node loses the requests of about S - t2 seconds",
			Instead: "2 replicas, or bridge the gap with a t2 of S + 10",
		},
		find: warnOneReplica,
	},
	{
		Warning: Warning{
			When:    "`maxUnavailable` of one pod or more",
			Why:     "this number of replicas is missing during a rollout; if it is all of them, requests are lost until a new pod is ready",
			Instead: "leave it out, unless no two pods can run side by side",
		},
		find: warnMissingPods,
	},
	{
		Warning: Warning{
			When: "required pod anti-affinity between the app's own pods, and `maxUnavailable` 0",
			Why:  "a new pod needs a node (or zone) without an old one, which ends only after the new one is available. Without a spare node (or zone) the new pod stays Pending",
			Instead: "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, a spare " +
				"node, or `preferredDuringSchedulingIgnoredDuringExecution`. Anti-affinity with `matchLabelKeys: [pod-template-hash]` needs none",
		},
		find: warnAntiAffinity,
	},
	{
		Warning: Warning{
			When:    "`hostPort` or `hostNetwork`, and `maxUnavailable` 0",
			Why:     "a new pod needs a node without an old one, because a node has each port once: without a spare node the new pod stays Pending",
			Instead: "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, or a spare node",
		},
		find: warnHostPorts,
	},
	{
		Warning: Warning{
			When:    "a PersistentVolumeClaim, and `maxUnavailable` 0",
			Why:     "if its access mode is ReadWriteOnce or ReadWriteOncePod, the new pod waits for the old one's volume",
			Instead: "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, or a ReadWriteMany volume",
		},
		find: warnClaims,
	},
	{
		Warning: Warning{
			When:    "`internalTrafficPolicy: Local`",
			Why:     "a node refuses requests as soon as its last pod is gone, even if pods run on other nodes",
			Instead: "`Cluster`, or leave it out",
		},
		find: warnInternalTraffic,
	},
	{
		Warning: Warning{
			When:    "`externalTrafficPolicy: Local`",
			Why:     "a node refuses requests from the end of its last pod until the load balancer's health check fails there",
			Instead: "a t2 longer than that, or leave it out",
		},
		find: warnExternalTraffic,
	},
	{
		Warning: Warning{
			When:    "type LoadBalancer with t2 under 30",
			Why:     "cloud load balancers continue to send requests for longer",
			Instead: "a t2 of 30 or more",
		},
		find: warnLoadBalancer,
	},
	{
		Warning: Warning{
			When:    "headless with t2 under 30",
			Why:     "clients keep addresses for the DNS record's time to live",
			Instead: "a t2 of 30 or more",
		},
		find: warnHeadless,
	},
	{
		Warning: Warning{
			When:    "`clusterIP: None` is removed from a headless Service",
			Why:     "a `clusterIP` cannot change, so the Service stays headless",
			Instead: "`clusterIP: None`, or delete the Service, as the message says: the operator creates it again",
		},
		find: warnKeptHeadless,
	},
	{
		Warning: Warning{
			When:    "`sessionAffinityConfig` without `sessionAffinity: ClientIP`",
			Why:     "it has no effect",
			Instead: "`sessionAffinity: ClientIP`, or leave it out",
		},
		find: warnAffinityConfig,
	},
	{
		Warning: Warning{
			When:    "readiness by open port",
			Why:     "the port is open before the app can serve, and still open when it no longer can",
			Instead: "a `readinessProbe` on an HTTP endpoint that answers 200 only when the app can serve",
		},
		find: ofEachServer(warnReadinessByPort),
	},
	{
		Warning: Warning{
			When:    "liveness by open port",
			Why:     "a deadlocked app has an open port too",
			Instead: "a `livenessProbe` on an HTTP endpoint of its own",
		},
		find: ofEachServer(warnLivenessByPort),
	},
	{
		Warning: Warning{
			When:    "readiness and liveness on one endpoint",
			Why:     "the kubelet restarts a pod that should only be removed from the endpoints of the Service",
			Instead: "two endpoints",
		},
		find: ofEachServer(warnSharedEndpoint),
	},
	{
		Warning: Warning{
			When: "a liveness probe that tolerates failures for R or less, if R is at most 300",
			Why:  "the kubelet may kill a server that is busy with its longest request",
			Instead: "a higher `failureThreshold`, or leave it out. It tolerates failures for period x (threshold - 1), because the first failure can happen at " +
				"any moment of the first period; initialDelay counts only for the start",
		},
		find: ofEachServer(warnShortLiveness),
	},
	{
		Warning: Warning{
			When:    "R over 300, and no `failureThreshold` of the liveness probe",
			Why:     "the derived time follows R only up to 300 s, because a deadlocked server must not stay for hours",
			Instead: "a `failureThreshold`: the probe tolerates failures for period x threshold",
		},
		find: ofEachServer(warnBoundedTolerance),
	},
	{
		Warning: Warning{
			When:    "t3 over 600",
			Why:     "cluster autoscaler waits at most 600 s and then kills the pod",
			Instead: "raise its flag `--max-graceful-termination-sec` too",
		},
		find: warnLongGracePeriod,
	},
	{
		Warning: Warning{
			When:    "`shareProcessNamespace`",
			Why:     "the app is not PID 1 of its container",
			Instead: "make sure that SIGTERM reaches it, or leave the field out",
		},
		find: warnSharedProcessNamespace,
	},
	{
		Warning: Warning{
			When:    "a further container without a hook",
			Why:     "it gets a `sleep` of t2, so that it does not end before the app; but both get SIGTERM at the same time",
			Instead: "make it a native sidecar (an init container with `restartPolicy: Always`), which ends after the app",
		},
		find: warnOtherContainers,
	},
	{
		Warning: Warning{
			When:    "a further container with a hook that is shorter than t2, or does not show its time",
			Why:     "the container gets SIGTERM while the app still serves, and may need it",
			Instead: "a `sleep` of t2 or more, no hook, or a native sidecar (an init container with `restartPolicy: Always`), which ends after the app",
		},
		find: warnFurtherHook,
	},
	{
		Warning: Warning{
			When:    "a native sidecar with a hook other than a sleep, if no Service port targets it",
			Why:     "the hook runs as soon as the pod is deleted, while the app still serves",
			Instead: "leave it out",
		},
		find: warnSidecarHook,
	},
	{
		Warning: Warning{
			When:    "an explicit t3 without room for native sidecars",
			Why:     "they stop one after another after the app has ended",
			Instead: "more than t1 + t2 + 5 for each of them, or leave t3 out",
		},
		find: warnSidecarRoom,
	},
	{
		Warning: Warning{
			When:    "a shell that starts the server without exec",
			Why:     "SIGTERM may reach the shell but not the server",
			Instead: "`exec` before the server's command, or no shell",
		},
		find: ofEachServer(warnShellCommand),
	},
	{
		Warning: Warning{
			When:    "npm, npx, yarn or pnpm that starts the server",
			Why:     "SIGTERM may reach it but not the server",
			Instead: "the server's own command",
		},
		find: ofEachServer(warnPackageManager),
	},
	{
		Warning: Warning{
			When:    "an exec hook that needs a shell",
			Why:     "in an image without a shell the hook fails, and SIGTERM comes at once",
			Instead: "leave the hook out to get Kubernetes' own sleep, which needs no program",
		},
		find: ofEachServer(warnHookShell),
	},
	{
		Warning: Warning{
			When:    "a stop signal other than SIGTERM",
			Why:     "the app may handle SIGTERM only",
			Instead: "make sure that it shuts down gracefully on this signal",
		},
		find: ofEachServer(warnStopSignal),
	},
	{
		Warning: Warning{
			When:    "readiness gates",
			Why:     "no pod is Ready until a controller sets the conditions of its gates; until then a rollout waits, and the old pods continue to serve",
			Instead: "make sure that the controller which sets them runs",
		},
		find: warnReadinessGates,
	},
	{
		Warning: Warning{
			When:    "an init container with `restartPolicy: Never`",
			Why:     "each failure leaves a failed pod, and the next one is created without a backoff",
			Instead: "leave it out: a failed init container is restarted, with a backoff",
		},
		find: warnInitRestart,
	},
	{
		Warning: Warning{
			When:    "a restart rule `RestartAllContainers`",
			Why:     "the kubelet kills all containers of the pod without a grace period",
			Instead: "leave the rule out",
		},
		find: warnRestartOfAll,
	},
	{
		Warning: Warning{
			When:    "on adoption: `spec.service` changes a field that the clients of the Service notice",
			Why:     "the clients may lose requests",
			Instead: "the live Service's value, and change it when traffic is low",
		},
		find: warnAdoptedService,
	},
	{
		Warning: Warning{
			When:    "a label of `commonMetadata` that the operator sets itself",
			Why:     "the operator's value wins",
			Instead: "leave it out",
		},
		find: warnReservedLabels,
	},
	{
		Warning: Warning{
			When:    "`progressDeadlineSeconds` under the startup budget + t2 + t3, where a new pod waits for the end of an old one",
			Why:     "each rollout would count as failed",
			Instead: "a higher number, or leave it out",
		},
		find: warnShortDeadline,
	},
	{
		Warning: Warning{
			When:    "on adoption: the Deployment's `progressDeadlineSeconds` is higher than the GracefulApp's",
			Why:     "a rollout with long init containers counts as failed earlier than before",
			Instead: "the Deployment's number in `spec.progressDeadlineSeconds`",
		},
		find: warnAdoptedDeadline,
	},
	{
		Warning: Warning{
			When:    "on adoption: the Deployment has strategy Recreate or maxSurge 0, and `spec.strategy` is left out",
			Why:     "its pods may be unable to run side by side, and then a rollout never ends",
			Instead: "`strategy.rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`, if so",
		},
		find: warnAdoptedStrategy,
	},
	{
		Warning: Warning{
			When:    "a foreign PodDisruptionBudget",
			Why:     "every eviction of a pod that two budgets select fails, so the operator creates none; with one replica a drain may never end",
			Instead: "make sure that it allows one eviction at a time, or delete it",
		},
		find: warnForeignBudget,
	},
	{
		Warning: Warning{
			When:    "a HorizontalPodAutoscaler that targets the Deployment",
			Why:     "the GracefulApp keeps its number of replicas, and `spec.replicas` has no effect",
			Instead: "let it target the GracefulApp, as the message says",
		},
		find: warnAutoscaler,
	},
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
	return append(all, otherWarnings...)
}

func (in *input) warn() []string {
	var all []string
	for _, w := range warnings {
		all = append(all, w.find(in)...)
	}
	return all
}

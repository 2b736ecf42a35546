package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// check is a rule and the function that finds its violations.
type check struct {
	Rule
	find func(*input) field.ErrorList
}

// checks are the invariants of the spec. All of them run, so that a user sees every mistake at once. Number 11, the API server's validation of
// the owned objects, needs an API server and is not here.
var checks = []check{
	{
		Rule: Rule{
			Number:  "1",
			Rule:    "t3 > t1 + t2",
			Why:     "SIGKILL would cut requests short",
			Instead: "at least t1 + t2 + 1, or leave t3 out",
			CEL:     true,
		},
		find: checkGracePeriod,
	},
	{
		Rule: Rule{
			Number:  "2",
			Rule:    "t1 >= R",
			Why:     "the longest request could not end",
			Instead: "at least R, or leave t1 out",
			CEL:     true,
		},
		find: checkShutdown,
	},
	{
		Rule: Rule{
			Number:  "3",
			Rule:    "t2 >= 1",
			Why:     "SIGTERM would arrive while proxies still send requests",
			Instead: "5 or more, or leave t2 out",
			CEL:     true,
		},
		find: checkPreStop,
	},
	{
		Rule: Rule{
			Number: "4",
			Rule:   "certain startup budget > S: initialDelay + period x (threshold - 1) of the startup probe",
			Why:    "the kubelet would kill a container that starts slowly",
			Instead: "a higher `failureThreshold`, or leave it out. One period does not count, because the first probe can happen at any moment of the first " +
				"period",
		},
		find: ofServingContainer(checkStartupBudget),
	},
	{
		Rule: Rule{
			Number:  "5",
			Rule:    "a readable `sleep N` in an exec hook is t2, or at most t2 beside another command",
			Why:     "SIGTERM follows as soon as the hook returns",
			Instead: "`sleep` t2, or set `preStopSeconds` to N",
		},
		find: ofServingContainer(checkHookDuration),
	},
	{
		Rule: Rule{
			Number:  "6",
			Rule:    "startup budget + minReadySeconds < `progressDeadlineSeconds`",
			Why:     "a slow start would count as a failed rollout",
			Instead: "a higher number, or leave it out. Init containers and the pull of images count too",
		},
		find: checkProgressDeadline,
	},
	{
		Rule: Rule{
			Number:  "7",
			Rule:    "S, R, t1, t2 are at most 86,400, t3 at most 259,200; S and R are at least 1, by the schema",
			Why:     "sums of seconds must fit Kubernetes' fields",
			Instead: "a number within these limits",
			CEL:     true,
		},
		find: checkInputBounds,
	},
	{
		Rule: Rule{
			Number:  "7",
			Rule:    "the serving container's probes have numbers of 0 to 86,400, and initialDelay + period x threshold is at most 259,200",
			Why:     "sums of seconds must fit Kubernetes' fields",
			Instead: "a smaller number, or leave it out",
		},
		find: ofServingContainer(checkProbeBounds),
	},
	{
		Rule: Rule{
			Number:  "8",
			Rule:    "there is a serving container: the one that the annotation `kubectl.kubernetes.io/default-container` names, otherwise the first",
			Why:     "no container would serve the requests",
			Instead: "a container of that name, or leave the annotation out",
		},
		find: checkServingContainer,
	},
	{
		Rule: Rule{
			Number:  "8",
			Rule:    "the serving container has a TCP port, unless the Service targets other containers only (from derivation version 2 on)",
			Why:     "there is nothing to probe, and nothing to send requests to",
			Instead: "`ports: [{name: http, containerPort: 8080}]`",
		},
		find: ofServingContainer(checkServingPort),
	},
	{
		Rule: Rule{
			Number:  "8",
			Rule:    "the first TCP port of the serving container has a name, if another port is named `http`",
			Why:     "the operator names an unnamed port `http`",
			Instead: "`name: web`, or another name",
		},
		find: ofServingContainer(checkServingPortName),
	},
	{
		Rule: Rule{
			Number:  "8",
			Rule:    "a port name that a probe or a hook uses is a port name of the same container",
			Why:     "the probe would always fail",
			Instead: "name the port in the template",
		},
		find: checkHandlerPorts,
	},
	{
		Rule: Rule{
			Number:  "8",
			Rule:    "a port that the Service targets has a name in the template and the Service port's protocol, and no other container port has this name",
			Why:     "when a rollout changes the number, half of the pods would not listen on it; of two ports with one name Kubernetes takes the first",
			Instead: "name the port in the template, and write `targetPort: NAME`",
		},
		find: checkServiceTargets,
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`terminationGracePeriodSeconds`, `restartPolicy` other than Always, `activeDeadlineSeconds`, `schedulingGates` and `nodeName` of the pod are left out",
			Why:     "they are derived, or contradict a derived field",
			Instead: "`spec.timing`, or as the message says",
		},
		find: checkOwnedPodFields,
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`preStop.sleep` of the serving container is left out",
			Why:     "it is derived",
			Instead: "`spec.timing.preStopSeconds`",
		},
		find: ofServingContainer(checkServingSleep),
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`terminationGracePeriodSeconds` of the serving container's probes is left out",
			Why:     "it is derived",
			Instead: "`spec.timing`",
		},
		find: ofServingContainer(checkProbeGrace),
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`preStop.tcpSocket`, and `host` in probes and hooks are left out; `preStop.sleep` of a further container is at least t2 and less than t3",
			Why:     "Kubernetes ignores `tcpSocket`; with `host` the request goes to another address than the pod's; the container would end before the app, or by SIGKILL",
			Instead: "as the message says",
		},
		find: checkOwnedContainerFields,
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`selector`, `publishNotReadyAddresses`, `externalIPs`, type ExternalName and `externalName` of the Service are left out",
			Why:     "the Service would send requests to pods that are not ready, or to no pod, or would claim an address that belongs to another component",
			Instead: "leave them out",
		},
		find: checkOwnedServiceFields,
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`minReadySeconds` is left out",
			Why:     "it is derived: t2",
			Instead: "`spec.timing.preStopSeconds`",
			CEL:     true,
		},
		find: checkMinReady,
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`commonMetadata` has valid labels and annotations, and none under `deployment.kubernetes.io/` and `apps.gracefulapp.dev/`",
			Why:     "the API server would reject invalid ones; the Deployment controller writes `deployment.kubernetes.io/`, and the operator and the policies read each key under `apps.gracefulapp.dev/` on one object",
			Instead: "another key, or leave it out",
		},
		find: checkCommonMetadata,
	},
	{
		Rule: Rule{
			Number:  "10",
			Rule:    "`GRACEFUL_SHUTDOWN_SEC`, `GRACEFUL_PRESTOP_SEC`, `GRACEFUL_TERMINATION_SEC`, if the template sets them, are t1 (with a drain sidecar `exitSeconds`), t2 and t3",
			Why:     "the app must use the times that the spec declares",
			Instead: "change `spec.timing`, or leave the variable out",
		},
		find: ofServingContainer(checkEnvironment),
	},
	{
		Rule: Rule{
			Number:  "12",
			Rule:    "the name is a DNS-1035 label of at most 63 characters",
			Why:     "the Service has the same name",
			Instead: "another name",
			CEL:     true,
		},
		find: checkName,
	},
	{
		Rule: Rule{
			Number:  "12",
			Rule:    "the spec is at most 256 KiB of JSON",
			Why:     "etcd would reject the derived Deployment",
			Instead: "move large values into a ConfigMap",
		},
		find: checkSize,
	},
	{
		Rule: Rule{
			Rule:    "`strategy.type` is not Recreate",
			Why:     "Recreate ends every pod before a new one starts",
			Instead: "if no two pods can run side by side, `rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`",
			CEL:     true,
		},
		find: checkStrategyType,
	},
	{
		Rule: Rule{
			Rule:    "`maxSurge` and `maxUnavailable` are not both 0; left out, `maxUnavailable` is 0",
			Why:     "a rollout could replace no pod",
			Instead: "`maxUnavailable: 1`, or leave `maxSurge` out",
			CEL:     true,
		},
		find: checkRollingUpdate,
	},
	{
		Rule: Rule{
			Rule:    "the template has the labels of `spec.selector`",
			Why:     "the Service would not find the pods",
			Instead: "the labels that the message names",
		},
		find: checkSelector,
	},
	{
		Rule: Rule{
			Rule:    "on adoption: `spec.selector` equals the selector of the Deployment and of the Service",
			Why:     "a Deployment's selector cannot change, and a Service with another one would send requests to other pods",
			Instead: "the labels that the message names",
		},
		find: checkAdoptedSelector,
	},
	{
		Rule: Rule{
			Rule:    "on adoption: `spec.replicas` equals the Deployment's replicas, unless a HorizontalPodAutoscaler targets it",
			Why:     "the adoption would scale it",
			Instead: "the number that the message names",
		},
		find: checkAdoptedReplicas,
	},
	{
		Rule: Rule{
			Rule:    "on adoption: a container port to which the Service sends requests keeps its number until the rollout has finished, and its name if the Deployment is in a rollout or absent",
			Why:     "old pods do not listen on the new number",
			Instead: "the number (or name) that the message names; change it after the rollout",
		},
		find: checkAdoptedPorts,
	},
	{
		Rule: Rule{
			Rule:    "on adoption: the Service has neither `externalIPs` nor `publishNotReadyAddresses`, nor type ExternalName",
			Why:     "a GracefulApp does not support them, so they would be removed",
			Instead: "remove them from the Service first",
		},
		find: checkAdoptedSettings,
	},
	{
		Rule: Rule{
			Rule: "on adoption: a field that the clients of the Service notice (type, ports, address, session affinity, traffic policies) changes only if " +
				"`spec.service` sets it, and not while `spec.paused` is true",
			Why:     "an adoption must not be an outage",
			Instead: "the `service` that the message shows",
		},
		find: checkAdoptedService,
	},
	{
		Rule: Rule{
			Rule:    "`lifecycle.stopSignal` of the serving container is not SIGKILL",
			Why:     "no app can handle it",
			Instead: "SIGTERM, or the signal on which the app shuts down",
		},
		find: ofServingContainer(checkStopSignal),
	},
}

func (in *input) check() field.ErrorList {
	errs := in.checkDerivation()
	for _, c := range slices.Concat(checks, drainRules) {
		errs = append(errs, c.find(in)...)
	}
	return append(errs, in.checkTightened()...)
}

package plan

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Rule is a check's row in docs/refusals.md, in Markdown. t1, t2, t3, S and R are the timing's fields.
type Rule struct {
	Number string // as in docs/timing-model.md; "" for a rule that is not among its invariants
	Rule   string
	Why    string
	// Instead tells the user how to correct the spec.
	Instead string
	// CEL: the CRD has the rule too, in the same words, so the API server enforces it while the operator is unavailable.
	CEL bool
}

type check struct {
	Rule
	find func(*input) field.ErrorList
}

// checks are the invariants of the spec. All of them run, so that a user sees every mistake at once. Number 11, the API server's validation of
// the owned objects, needs an API server and is not here.
var checks = []check{
	{Rule{"1", "t3 > t1 + t2", "SIGKILL would cut requests short", "at least t1 + t2 + 1, or leave t3 out", true}, checkGracePeriod},
	{Rule{"2", "t1 >= R", "the longest request could not end", "at least R, or leave t1 out", true}, checkShutdown},
	{Rule{"3", "t2 >= 1", "SIGTERM would arrive while proxies still send requests", "5 or more, or leave t2 out", true}, checkPreStop},
	{Rule{"4", "startup budget > S", "the kubelet would kill a container that starts slowly",
		"a higher `failureThreshold`, or leave it out. The budget counts as initialDelay + period x (threshold - 1), because the first probe can " +
			"happen at any moment of the first period", false}, ofMain(checkStartupBudget)},
	{Rule{"5", "a readable `sleep N` in an exec hook is t2, or at most t2 beside another command", "SIGTERM follows as soon as the hook returns",
		"`sleep` t2, or set `preStopSeconds` to N", false}, ofMain(checkHookDuration)},
	{Rule{"6", "startup budget + minReadySeconds < `progressDeadlineSeconds`", "a slow start would count as a failed rollout",
		"a higher number, or leave it out. Init containers and the pull of images count too", false}, checkProgressDeadline},
	{Rule{"7", "S, R, t1, t2 are at most 86,400, t3 at most 259,200; S and R are at least 1, by the schema", "sums of seconds must fit Kubernetes' fields",
		"a number within", true}, checkInputBounds},
	{Rule{"7", "the serving container's probes have numbers of 0 to 86,400, and initialDelay + period x threshold is at most 259,200",
		"sums of seconds must fit Kubernetes' fields", "a smaller number, or leave it out", false}, ofMain(checkProbeBounds)},
	{Rule{"8", "there is a serving container: the one that the annotation `kubectl.kubernetes.io/default-container` names, otherwise the first",
		"no container would serve the requests", "a container of that name, or leave the annotation out", false}, checkServingContainer},
	{Rule{"8", "the serving container has a TCP port, unless the Service targets other containers only (from derivation version 2 on)",
		"there is nothing to probe, and nothing to send requests to",
		"`ports: [{name: http, containerPort: 8080}]`", false}, ofMain(checkServingPort)},
	{Rule{"8", "that port has a name, if another one is named `http`", "`http` is the name that an unnamed one gets", "`name: web`, or any other",
		false}, ofMain(checkServingPortName)},
	{Rule{"8", "a port name that a probe or a hook uses is a port name of the same container", "the probe would always fail", "name the port in the template",
		false}, checkHandlerPorts},
	{Rule{"8", "a port that the Service targets has a name in the template, is of its protocol, and only one container's",
		"in a rollout, half of the pods would not listen on the number, and of two ports with one name Kubernetes takes the first",
		"name the port in the template, and write `targetPort: NAME`", false}, checkServiceTargets},
	{Rule{"9", "`terminationGracePeriodSeconds`, `restartPolicy` other than Always, `activeDeadlineSeconds`, `schedulingGates` and `nodeName` of " +
		"the pod are left out", "they are derived, or contradict a derived field", "`spec.timing`, or as the message says", false},
		checkOwnedPodFields},
	{Rule{"9", "`preStop.sleep` of the serving container is left out", "it is derived", "`spec.timing.preStopSeconds`", false}, ofMain(checkMainSleep)},
	{Rule{"9", "`terminationGracePeriodSeconds` of the serving container's probes is left out", "it is derived", "`spec.timing`", false},
		ofMain(checkProbeGrace)},
	{Rule{"9", "`preStop.tcpSocket`, and `host` in probes and hooks are left out; `preStop.sleep` of a further container is at least t2 and less than t3",
		"Kubernetes ignores `tcpSocket`; with `host` the request goes to another address than the pod's; the container would end before the app, or by SIGKILL",
		"as the message says", false},
		checkOwnedContainerFields},
	{Rule{"9", "`selector`, `publishNotReadyAddresses`, `externalIPs`, type ExternalName and `externalName` of the Service are left out",
		"the Service would send requests to pods that are not ready or to none, or claim an address that is not its own", "leave them out", false},
		checkOwnedServiceFields},
	{Rule{"9", "`minReadySeconds` is left out", "it is derived: t2", "`spec.timing.preStopSeconds`", true}, checkMinReady},
	{Rule{"9", "`commonMetadata` has valid labels and annotations, and none under `deployment.kubernetes.io/` and `apps.gracefulapp.dev/`",
		"the API server would reject invalid ones; the Deployment's controller writes `deployment.kubernetes.io/`, and each key under `apps.gracefulapp.dev/` is for one object",
		"another key, or leave it out", false}, checkCommonMetadata},
	{Rule{"10", "`GRACEFUL_SHUTDOWN_SEC`, `GRACEFUL_PRESTOP_SEC`, `GRACEFUL_TERMINATION_SEC`, if the template sets them, are t1, t2 and t3",
		"the declared t1 must be the app's t1", "change `spec.timing`, or leave the variable out", false}, ofMain(checkEnvironment)},
	{Rule{"12", "the name is a DNS-1035 label of at most 63 characters", "the Service has the same name", "another name", true}, checkName},
	{Rule{"12", "the spec is at most 256 KiB of JSON", "etcd would reject the Deployment that is derived from it", "a ConfigMap", false}, checkSize},
	{Rule{"", "`strategy.type` is not Recreate", "Recreate ends every pod before a new one starts",
		"if no two pods can run side by side, `rollingUpdate: {maxSurge: 0, maxUnavailable: 1}`", true}, checkStrategyType},
	{Rule{"", "`maxSurge` and `maxUnavailable` are not both 0; left out, `maxUnavailable` is 0", "a rollout could replace no pod",
		"`maxUnavailable: 1`, or leave `maxSurge` out", true}, checkRollingUpdate},
	{Rule{"", "the template has the labels of `spec.selector`", "the Service would not find the pods", "the labels that the message names", false},
		checkSelector},
	{Rule{"", "on adoption: `spec.selector` is the Deployment's and the Service's", "a Deployment's selector cannot change, and a Service with " +
		"another one would send requests to other pods", "the labels that the message names", false}, checkAdoptedSelector},
	{Rule{"", "on adoption: `spec.replicas` is the Deployment's, unless a HorizontalPodAutoscaler targets it", "the adoption would scale it",
		"the number that the message names", false}, checkAdoptedReplicas},
	{Rule{"", "on adoption: a container port to which the Service sends requests keeps its number until the rollout has finished, and its name if the " +
		"Deployment is in a rollout or absent", "old pods do not listen on the new one", "the number that the message names; change it after " +
		"the rollout. Or the name that it names", false}, checkAdoptedPorts},
	{Rule{"", "on adoption: the Service has neither `externalIPs` nor `publishNotReadyAddresses`, nor type ExternalName", "a GracefulApp does " +
		"not support them, so they would be removed", "remove them from the Service first", false}, checkAdoptedSettings},
	{Rule{"", "on adoption: a field that the clients of the Service notice (type, ports, address, session affinity, traffic policies) changes only if " +
		"`spec.service` sets it, and not while `spec.paused` is true", "an adoption must not be an outage",
		"the `service` that the message shows", false}, checkAdoptedService},
	{Rule{"", "`lifecycle.stopSignal` of the serving container is not SIGKILL", "no app can handle it",
		"SIGTERM, or the signal on which the app shuts down", false}, ofMain(checkStopSignal)},
}

// elsewhere are the rules that need more than the spec: the spec before the update, the cluster, or the user of the request (config/policy).
var elsewhere = []Rule{
	{"", "`apps.gracefulapp.dev/derivation` is a version that the operator supports, and so is that of the Deployment", "another version's template would restart " +
		"the pods", "a version that the message names, or no annotation; after a downgrade, upgrade the operator again", false},
	{"", "`spec.selector` never changes", "it decides which pods belong to the app", "delete the GracefulApp and create it again", true},
	{"", "the name of a port that the Service targets never changes", "running pods have no port of the new name, so the Service would lose " +
		"all of them at once", "keep the name (its number may change), or add a second port", false},
	{"", "while an adoption is paused (annotation `apps.gracefulapp.dev/adopt`, `spec.paused: true`), `spec.service` changes nothing that the " +
		"clients of the Service see", "a paused adoption must not be an outage", "set `spec.paused` to false first", false},
	{"", "until the rollout after an adoption has finished, a container port to which the Service sends requests keeps its number",
		"old pods do not listen on the new one", "change it after the rollout", false},
	{"", "`nodePort` is in the cluster's range", "a dry run allocates no port, so the API server would reject it later", "one of 30000-32767 (the " +
		"operator's flag `--service-node-port-range`, if the API server has another range), or leave it out", false},
	{"", "a field of the live Service that cannot change (`clusterIP`, `loadBalancerClass`, the first of `ipFamilies`) keeps its value",
		"the API server would reject each update", "keep the value, or delete the Service with the commands that the message names: the operator " +
			"creates it again, with another address", false},
	{"", "a field of `spec.service.spec` that depends on another one (such as `nodePort` on the type) fits it",
		"the API server drops it from the first update and rejects it in the next", "leave the field out", false},
	{"", "a user who writes a GracefulApp may create Deployments in its namespace (*policy*)", "the operator would run pods for a user without that permission",
		"ask for that permission, or let a user who has it write the GracefulApp. Scaling needs none", false},
	{"", "a user who sets `apps.gracefulapp.dev/adopt` may update and delete the Deployment, Service and PodDisruptionBudget of that name (*policy*)",
		"the GracefulApp takes the objects over, and its deletion deletes them", "ask for that permission, or remove the annotation once all objects are adopted", false},
	{"", "a user who exposes the app by type NodePort or LoadBalancer may create Services in its namespace (*policy*)",
		"the operator would expose pods for a user without that permission", "ask for that permission, or leave the type out", false},
	{"", "a Deployment, Service or PodDisruptionBudget that a GracefulApp controls is deleted only with the GracefulApp, or with the annotation " +
		"`apps.gracefulapp.dev/allow-deletion: \"true\"` (*policy*)", "a tool that prunes would cause an outage",
		"delete the GracefulApp, exclude the object [from pruning](how-to/adopt.md#take-the-old-manifests-out-of-git), or annotate it", false},
}

// Rules returns every rule that is checked without the API server's validation.
func Rules() []Rule {
	var all []Rule
	for _, c := range checks {
		all = append(all, c.Rule)
	}
	for _, c := range tightened {
		all = append(all, c.Rule)
	}
	return append(all, elsewhere...)
}

func (in *input) check() field.ErrorList {
	errs := in.checkDerivation()
	for _, c := range checks {
		errs = append(errs, c.find(in)...)
	}
	return append(errs, in.checkTightened()...)
}

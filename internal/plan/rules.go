package plan

import "slices"

// Rule is a check's row in docs/refusals.md, in Markdown. t1, t2, t3, S and R are the timing's fields.
type Rule struct {
	Number string // as in docs/timing-model.md; "" for a rule that is not among its invariants
	Rule   string
	Why    string
	// Instead tells the user how to correct the spec.
	Instead string
	// CEL is true if the CRD has the rule too, with the same message, so that the API server enforces it while the operator is unavailable.
	CEL bool
}

// otherRules are checked elsewhere, because they need more than the spec: the spec before the update, the cluster, or the user of the request
// (config/policy).
var otherRules = []Rule{
	{
		Rule:    "the annotation `apps.gracefulapp.dev/derivation`, and the version of the Deployment, are versions that the operator supports",
		Why:     "the template of another version would restart the pods",
		Instead: "a version that the message names, or no annotation; after a downgrade, upgrade the operator again",
	},
	{
		Rule:    "`spec.selector` never changes",
		Why:     "it decides which pods belong to the app",
		Instead: "delete the GracefulApp and create it again",
		CEL:     true,
	},
	{
		Rule:    "the name of a port that the Service targets never changes",
		Why:     "running pods have no port of the new name, so the Service would lose all of them at once",
		Instead: "keep the name (its number may change), or add a second port",
	},
	{
		Rule:    "while an adoption is paused (annotation `apps.gracefulapp.dev/adopt`, `spec.paused: true`), `spec.service` changes nothing that the clients of the Service see",
		Why:     "a paused adoption must not be an outage",
		Instead: "set `spec.paused` to false first",
	},
	{
		Rule:    "until the rollout after an adoption has finished, a container port to which the Service sends requests keeps its number",
		Why:     "old pods do not listen on the new number",
		Instead: "change it after the rollout",
	},
	{
		Rule:    "`nodePort` is in the cluster's range",
		Why:     "a dry run allocates no port, so the API server would reject a wrong number only later",
		Instead: "one of 30000-32767 (the operator's flag `--service-node-port-range`, if the API server has another range), or leave it out",
	},
	{
		Rule:    "a field of the live Service that cannot change (`clusterIP`, `loadBalancerClass`, the first of `ipFamilies`) keeps its value",
		Why:     "the API server would reject each update",
		Instead: "keep the value, or delete the Service with the commands that the message names: the operator creates it again, with another address",
	},
	{
		Rule:    "a field of `spec.service.spec` that depends on another one (such as `nodePort` on `type`) fits the other one",
		Why:     "the API server drops it from the first update and rejects it in the next",
		Instead: "leave the field out",
	},
	{
		Rule:    "a user who writes a GracefulApp may create Deployments in its namespace (*policy*)",
		Why:     "the operator would run pods for a user without that permission",
		Instead: "ask for that permission, or let a user who has it write the GracefulApp. Scaling needs none",
	},
	{
		Rule:    "a user who sets `apps.gracefulapp.dev/adopt` may update and delete the Deployment, Service and PodDisruptionBudget of that name (*policy*)",
		Why:     "the GracefulApp takes the objects over, and its deletion deletes them",
		Instead: "ask for that permission, or remove the annotation once all objects are adopted",
	},
	{
		Rule:    "a user who exposes the app by type NodePort or LoadBalancer may create Services in its namespace (*policy*)",
		Why:     "the operator would expose pods for a user without that permission",
		Instead: "ask for that permission, or leave the type out",
	},
	{
		Rule: "a Deployment, Service or PodDisruptionBudget that a GracefulApp controls is deleted only with the GracefulApp, or with the annotation " +
			"`apps.gracefulapp.dev/allow-deletion: \"true\"` (*policy*)",
		Why:     "a tool that prunes would cause an outage",
		Instead: "delete the GracefulApp, exclude the object [from pruning](how-to/adopt.md#take-the-old-manifests-out-of-git), or annotate it",
	},
}

// Rules returns every rule that is checked without the API server's validation.
func Rules() []Rule {
	var all []Rule
	for _, c := range slices.Concat(checks, drainRules) {
		all = append(all, c.Rule)
	}
	for _, c := range tightened {
		all = append(all, c.Rule)
	}
	return append(all, otherRules...)
}

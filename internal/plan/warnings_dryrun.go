package plan

// otherWarnings are the warnings of the webhook and its dry run (internal/children).
var otherWarnings = []Warning{
	{
		When:    "a foreign object of the app's name",
		Why:     "the operator does not change it, and creates no object while it exists",
		Instead: "delete or rename it, or [adopt it](how-to/adopt.md)",
	},
	{
		When:    "a warning of the API server about the pods",
		Why:     "for example the namespace's label `pod-security.kubernetes.io/warn` asks for another Pod Security level than the pods fulfil",
		Instead: "correct the field or container that the message names",
	},
	{
		When:    "a temporary rejection",
		Why:     "a quota is exhausted, or a ServiceAccount does not exist yet: no change of the spec corrects that",
		Instead: "raise the quota, create the ServiceAccount; the operator retries",
	},
	{
		When:    "a dry run that failed",
		Why:     "another webhook does not answer or does not support dry runs, the namespace is terminating, or the API server is slow",
		Instead: "look at the status: it is [`Stalled`](status.md) if the API server rejected an owned object",
	},
	{
		When:    "a dry run that was skipped",
		Why:     "the admission review did not come by the path that only the API server knows, as in the first seconds after the operator was installed",
		Instead: "look at the status: it is [`Stalled`](status.md) if the API server rejected an owned object",
	},
}

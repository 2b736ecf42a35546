package plan

import "k8s.io/apimachinery/pkg/util/validation/field"

// tightenedCheck is a rule that an earlier release of the operator did not have. It refuses a spec from its derivation version on, so an app
// that breaks it and keeps an older version stays valid.
type tightenedCheck struct {
	Rule
	since int32
	find  func(*input) field.ErrorList
}

// tightened are the tightened checks. checkTightened runs those that the app's derivation version has, outdated runs the others.
var tightened = []tightenedCheck{
	{
		Rule: Rule{
			Number:  "10",
			Rule:    "`GRACEFUL_REQUEST_SEC` is `requestSeconds` (from derivation version 2 on)",
			Why:     "the declared R must be the app's R",
			Instead: "change `spec.timing`, or leave the variable out",
		},
		since: 2,
		find:  ofServingContainer(checkRequestVariable),
	},
	{
		Rule: Rule{
			Number:  "4-10",
			Rule:    "every container and native sidecar that a Service port targets obeys the rules for the serving container's probes, hook, environment and stop signal (from derivation version 2 on)",
			Why:     "it gets the requests",
			Instead: "as for the serving container",
		},
		since: 2,
		find:  ofFurtherServers(checkProbeBounds, checkProbeGrace, checkStartupBudget, checkHookDuration, checkEnvironment, checkRequestVariable, checkStopSignal),
	},
	{
		Rule: Rule{
			Number:  "9",
			Rule:    "`restartPolicy` of a container is Always or left out; that of an init container may be any (from derivation version 2 on)",
			Why:     "a container that has ended permanently leaves its pod not Ready, and no Deployment replaces such a pod",
			Instead: "leave it out, and `restartPolicyRules` too",
		},
		since: 2,
		find:  checkContainerRestart,
	},
}

// checkTightened checks the rules that the app's derivation version has.
func (in *input) checkTightened() field.ErrorList {
	var errs field.ErrorList
	for _, c := range tightened {
		if in.version >= c.since {
			errs = append(errs, c.find(in)...)
		}
	}
	return errs
}

// newerVersionErrors finds the rules that the spec would break if the app moved to NewestDerivation.
func (in *input) newerVersionErrors() field.ErrorList {
	if in.version >= NewestDerivation {
		return nil
	}
	newest := newInputOf(NewestDerivation, in.app, in.running)
	var errs field.ErrorList
	for _, c := range tightened {
		if c.since > in.version {
			errs = append(errs, c.find(newest)...)
		}
	}
	return errs
}

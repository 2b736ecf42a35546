package fuzz

import "time"

// found are reduced sequences that have failed, each with the fault that it showed. They are kept as steps, because a new operation changes
// the sequence of every seed.
var found = []struct {
	fault string
	steps []step
}{
	{
		fault: "a variable that occurs twice ends every apply",
		steps: []step{{do: createTheApp, choice: 1}, {do: "append an item that exists", choice: 0}},
	},
	{
		fault: "a port that occurs twice ends every apply",
		steps: []step{{do: createTheApp, choice: 1}, {do: "append an item that exists", choice: 1}, {do: "change the image", choice: 2}},
	},
	{
		fault: "a pull secret that occurs twice ends every apply",
		steps: []step{{do: createTheApp, choice: 1}, {do: "append an item that exists", choice: 2}, {do: "change the timing", choice: 7}},
	},
	{
		fault: "a pull secret that occurs twice ends scaling",
		steps: []step{{do: createTheApp, choice: 1}, {do: "append an item that exists", choice: 2}, {do: "scale the app by /scale", choice: 3}},
	},
	{
		fault: "a Deployment without its owner reference is taken for a foreign one, and the counts are 0",
		steps: []step{{do: createTheApp, choice: 3}, {do: "remove an owner reference", choice: 0, wait: settleTime}},
	},
	{
		fault: "a Service without its owner reference is taken for a foreign one",
		steps: []step{{do: createTheApp, choice: 3}, {do: "remove an owner reference", choice: 1}},
	},
	{
		fault: "a PodDisruptionBudget without its owner reference is taken for a foreign one",
		steps: []step{{do: createTheApp, choice: 3}, {do: "remove an owner reference", choice: 2}},
	},
	{
		fault: "the Service is written before the replicas, and its failure holds them up",
		steps: []step{
			{do: createTheApp, choice: 1},
			{do: "let calls fail", choice: 24},
			{do: "change several things once", choice: 2, wait: 2 * time.Second},
		},
	},
	{
		fault: "a policy that writes another number each time makes each pass start the next one",
		steps: []step{{do: createTheApp, choice: 1}, {do: "put a policy in force", choice: 1}, {do: "edit the Deployment", choice: 0}},
	},
}

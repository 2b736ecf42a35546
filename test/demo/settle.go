package main

import (
	"context"
	"time"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// listenMargin is added to the start time of hello in the plain Deployment, which has no readiness probe.
const listenMargin = time.Second

// generations are the objects' generations after the last patches. The cache may still have older ones.
type generations struct{ app, plain int64 }

// settled returns testbed.Done when both workloads are settled.
func settled(ctx context.Context, t *testbed.Testbed, after generations) (testbed.Pending, error) {
	if missing, err := t.AppSettled(ctx, appName, after.app); err != nil || missing != testbed.Done {
		return missing, err
	}
	return t.DeploymentSettled(ctx, plainName, after.plain, startSeconds*time.Second+listenMargin)
}

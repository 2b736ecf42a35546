package main

import (
	"context"
	"time"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// listenMargin is added to hello's start for the naive twin, which has no probe that would tell when it listens.
const listenMargin = time.Second

// generations are those that the last patches made; an older object in the cache says nothing about them.
type generations struct{ app, twin int64 }

// settled tells whether both workloads have come to rest.
func settled(ctx context.Context, t *testbed.Testbed, after generations) (testbed.Pending, error) {
	if missing, err := t.AppSettled(ctx, appName, after.app); err != nil || missing != testbed.Done {
		return missing, err
	}
	return t.DeploymentSettled(ctx, twinName, after.twin, startSeconds*time.Second+listenMargin)
}

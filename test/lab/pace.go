package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// maxChanging is the number of workloads that may be unsettled at the same time. With four rollouts at once, two cores were overloaded and 17 % of the
// requests late.
const maxChanging = 2

// change calls do for each workload and waits until all are settled.
func (r *round) change(ctx context.Context, text string, do func(w *workload) error) error {
	r.lab.say("  %s", text)
	return r.changeSilently(ctx, text, do)
}

func (r *round) changeSilently(ctx context.Context, text string, do func(w *workload) error) error {
	if err := r.changeEach(ctx, r.lab.suite.workloads, text, do); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// changeEach calls do for one workload after the other, each time when fewer than maxChanging of them are unsettled. It does not wait for the last ones.
func (r *round) changeEach(ctx context.Context, workloads []*workload, text string, do func(w *workload) error) error {
	for i, w := range workloads {
		err := r.awaitSettled(ctx, workloads[:i], maxChanging-1)
		if err == nil {
			r.addEvent(w.name, text)
			err = do(w)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// changeAlone calls do for one workload after the other, each time when all are settled. do adds the events.
func (r *round) changeAlone(ctx context.Context, do func(w *workload) error) error {
	for _, w := range r.lab.suite.workloads {
		err := do(w)
		if err == nil {
			err = r.awaitSettled(ctx, []*workload{w}, 0)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// changeAtOnce calls do for the workloads without a wait, so that the next step can come in the middle of the change.
func (r *round) changeAtOnce(workloads []*workload, text string, do func(w *workload) error) error {
	for _, w := range workloads {
		r.addEvent(w.name, text)
		if err := do(w); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// changeAppsAtOnce calls do for the Deployments and waits until they are settled; then it calls do for all GracefulApps.
func (r *round) changeAppsAtOnce(ctx context.Context, text string, do func(w *workload) error) error {
	r.lab.say("  %s", text)
	plain, managed := r.lab.suite.byKind()
	if err := r.changeEach(ctx, plain, text, do); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, plain, 0); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return r.changeAtOnce(managed, text, do)
}

// scaleDownAtOnce scales all workloads to a number below the present one, so that no pod starts.
func (r *round) scaleDownAtOnce(ctx context.Context, replicas int) error {
	text := fmt.Sprintf("scale to %d", replicas)
	r.lab.say("  %s", text)
	return r.changeAtOnce(r.lab.suite.workloads, text, func(w *workload) error { return w.patch(ctx, r.lab.testbed, replicasPatch(replicas)) })
}

// settle waits until all workloads are settled.
func (r *round) settle(ctx context.Context) error {
	return r.awaitSettled(ctx, r.lab.suite.workloads, 0)
}

// awaitSettled waits until at most the given number of the workloads are unsettled. It stores the time in the last event of each that is settled.
func (r *round) awaitSettled(ctx context.Context, workloads []*workload, unsettled int) error {
	return r.waitFor(ctx, "the workloads to settle", settleLimit, func(ctx context.Context) (testbed.Pending, error) {
		settled, missing, err := r.lab.settled(ctx, r.scenario.profile, workloads)
		if err != nil {
			return "", err
		}
		for _, w := range settled {
			r.markSettled(w)
		}
		if len(workloads)-len(settled) <= unsettled {
			return testbed.Done, nil
		}
		return missing, nil
	})
}

// markSettled stores the time in the workload's last event, unless it has one.
func (r *round) markSettled(w *workload) {
	for i := len(r.events) - 1; i >= 0; i-- {
		if e := r.events[i]; e.Workload == w.name {
			if e.Settled.IsZero() {
				e.Settled = time.Now()
			}
			return
		}
	}
}

// waitUnderLoad waits for d.
func (r *round) waitUnderLoad(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return r.waitFor(ctx, "steady load", d+time.Minute, func(context.Context) (testbed.Pending, error) {
		if time.Now().Before(end) {
			return "steady load", nil
		}
		return testbed.Done, nil
	})
}

// waitFor waits for a condition while load is sent. It returns an error if a generator fails meanwhile.
func (r *round) waitFor(ctx context.Context, condition string, limit time.Duration, check func(context.Context) (testbed.Pending, error)) error {
	return r.lab.testbed.WaitFor(ctx, condition, limit, func(ctx context.Context) (testbed.Pending, error) {
		r.watchLoad()
		if err := r.traffic.failed(); err != nil {
			return "", err
		}
		missing, err := check(ctx)
		if err == nil && missing != testbed.Done {
			r.lab.showProgress(string(missing))
		}
		return missing, err
	})
}

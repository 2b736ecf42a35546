package webhook

import (
	"context"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	// webhookName is the name of GracefulApp's webhook in the configuration. Webhooks of other kinds have fixed paths.
	webhookName = "gracefulapps.apps.gracefulapp.dev"
	// pathLifetime limits how long a leaked path is valid. When the webhook does not answer, the API server names the path in its error message.
	pathLifetime = time.Hour
	pathOwner    = "gracefulapp-webhook-path"
	// pathCheckPeriod is the interval at which the path is checked, so that a recreated configuration gets its path soon.
	pathCheckPeriod = 10 * time.Second
)

// pathRotator generates a random webhook path, writes it to the webhook configuration and replaces it every hour. It runs on the leader. Each
// replica's pathGuard reads the path from the configuration.
type pathRotator struct {
	client.Client
	name  string // of the configuration
	clock clock.PassiveClock

	path    string
	rotated time.Time
}

// Start checks and replaces the path until ctx is done.
func (r *pathRotator) Start(ctx context.Context) error {
	tick := time.NewTicker(pathCheckPeriod)
	defer tick.Stop()
	for {
		if err := r.rotate(ctx, r.clock.Now()); err != nil && !apierrors.IsConflict(err) && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Could not write the secret path to the webhook configuration; until then, reviews skip the dry run")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *pathRotator) rotate(ctx context.Context, now time.Time) error {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := r.Get(ctx, client.ObjectKey{Name: r.name}, configuration); err != nil {
		return client.IgnoreNotFound(err)
	}
	if r.path == "" || now.Sub(r.rotated) >= pathLifetime {
		r.path, r.rotated = newPath(), now
	}
	changed := false
	configuration = configuration.DeepCopy()
	for _, w := range configuration.Webhooks {
		if s := w.ClientConfig.Service; w.Name == webhookName && s != nil && (s.Path == nil || *s.Path != r.path) {
			s.Path, changed = new(r.path), true
		}
	}
	if !changed {
		return nil
	}
	if err := r.Update(ctx, configuration, client.FieldOwner(pathOwner)); err != nil {
		return fmt.Errorf("writing the webhook's path: %w", err)
	}
	return nil
}

// watchPaths watches the webhook configuration and passes its paths to the pathGuard, on each replica. synced reports whether the pathGuard knows the
// paths.
func watchPaths(ctx context.Context, mgr manager.Manager, name string, g *pathGuard) (synced func() bool, err error) {
	informer, err := mgr.GetCache().GetInformer(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{})
	if err != nil {
		return nil, fmt.Errorf("watching the webhook configuration: %w", err)
	}
	update := func(object any) {
		if c, ok := object.(*admissionregistrationv1.ValidatingWebhookConfiguration); ok && c.Name == name {
			g.update(c)
		}
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: update, UpdateFunc: func(_, updated any) { update(updated) },
	})
	if err != nil {
		return nil, err
	}
	return handler.HasSynced, nil
}

// Package testbed is what the programs share that try GracefulApp on a running cluster: watches, waiting, the load generators' pods.
package testbed

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clientcache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Testbed is a namespace of a cluster: a client that reads from watches and writes directly.
type Testbed struct {
	client.Client
	Namespace string
	// Direct reads past the watches.
	Direct client.Reader
	// Kube is for logs, evictions and the version, which controller-runtime's client has not.
	Kube    kubernetes.Interface
	Watched cache.Cache
	changed chan struct{} // rings when anything in the namespace has changed
}

// Connect opens the watches on the namespace, in the cluster that KUBECONFIG means, and waits until they have filled the cache.
func Connect(ctx context.Context, namespace string) (*Testbed, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster: %w", err)
	}
	config.QPS, config.Burst = 50, 100 // one user; client-go's default of 5 would delay the steps
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	watched, err := cache.New(config, cache.Options{Scheme: scheme, DefaultNamespaces: map[string]cache.Config{namespace: {}}})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Cache: &client.CacheOptions{
		Reader:     watched,
		DisableFor: []client.Object{&corev1.Namespace{}, &corev1.Node{}}, // read once, and not in the namespace that is watched
	}})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	t := &Testbed{Client: c, Direct: direct, Namespace: namespace, Kube: kube, Watched: watched, changed: make(chan struct{}, 1)}
	return t, t.watch(ctx)
}

func (t *Testbed) watch(ctx context.Context) error {
	ring := func() {
		select {
		case t.changed <- struct{}{}:
		default: // it rings already
		}
	}
	handler := clientcache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { ring() }, UpdateFunc: func(any, any) { ring() }, DeleteFunc: func(any) { ring() },
	}
	kinds := []client.Object{&v1alpha1.GracefulApp{}, &appsv1.Deployment{}, &corev1.Pod{}, &corev1.Service{}}
	for _, kind := range kinds {
		informer, err := t.Watched.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching %T (is the operator deployed?): %w", kind, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watching %T: %w", kind, err)
		}
	}
	go func() { _ = t.Watched.Start(ctx) }() // returns an error only if started twice
	syncing, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if !t.Watched.WaitForCacheSync(syncing) {
		return fmt.Errorf("the cluster did not answer within 30 s")
	}
	return nil
}

// Pending is the answer to "is it done?": Done, or else what is missing.
type Pending string

// Done is the answer yes.
const Done Pending = ""

// WaitFor asks check again whenever something has changed in the namespace, and, as some things change by time alone, once a second.
func (t *Testbed) WaitFor(ctx context.Context, what string, limit time.Duration, check func(context.Context) (Pending, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		missing, err := check(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if missing == Done {
			return nil
		}
		select {
		case <-t.changed:
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w after %s: %s", what, ctx.Err(), limit, missing)
		}
	}
}

// Package testbed has the code that the demo and the lab share: a client for a running cluster, waiting for conditions, and load generators.
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

// Testbed is a client for one namespace of a cluster, which it adds to each object and key. It reads from a cache and writes to the API server.
type Testbed struct {
	client.Client
	Namespace string
	// Direct reads from the API server, not from the cache.
	Direct client.Reader
	// Kube is used for logs, evictions and the server version, which the client of controller-runtime does not support.
	Kube    kubernetes.Interface
	Watched cache.Cache
	changed chan struct{} // receives a value when an object in the namespace has changed
}

// Connect connects to the cluster of KUBECONFIG and waits until the cache of the namespace is filled.
func Connect(ctx context.Context, namespace string) (*Testbed, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster: %w", err)
	}
	config.QPS, config.Burst = 50, 100 // client-go's default of 5 requests per second would delay the steps
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
		DisableFor: []client.Object{&corev1.Namespace{}, &corev1.Node{}}, // read rarely, and outside the namespace that the cache watches
	}})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	t := &Testbed{
		Client: client.NewNamespacedClient(c, namespace), Direct: client.NewNamespacedClient(direct, namespace), Namespace: namespace,
		Kube: kube, Watched: watched, changed: make(chan struct{}, 1),
	}
	return t, t.watch(ctx)
}

func (t *Testbed) watch(ctx context.Context) error {
	notify := func() {
		select {
		case t.changed <- struct{}{}:
		default: // a value is already waiting
		}
	}
	handler := clientcache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
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

// Pending describes the missing part of a condition, such as "2 of 3 pods". It is Done if the condition is met.
type Pending string

// Done means that there is nothing left to wait for.
const Done Pending = ""

// WaitFor calls check until it returns Done: after each change in the namespace and once per second, because some conditions depend on time alone.
func (t *Testbed) WaitFor(ctx context.Context, condition string, limit time.Duration, check func(context.Context) (Pending, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		missing, err := check(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", condition, err)
		}
		if missing == Done {
			return nil
		}
		select {
		case <-t.changed:
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w after %s: %s", condition, ctx.Err(), limit, missing)
		}
	}
}

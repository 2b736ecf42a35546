// Command manager runs the controller and the admission webhook.
package main

import (
	"flag"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	appsv1alpha1 "github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/controllers"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/webhook"
	// +kubebuilder:scaffold:imports
)

// version is set by the linker.
var version = "dev"

// kubebuilder inserts code before the markers in this file. That code uses the names scheme, setupLog and mgr.
var (
	scheme   = runtime.NewScheme()
	setupLog = ctrl.Log.WithName("setup")
)

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(appsv1alpha1.AddToScheme(scheme))
	// +kubebuilder:scaffold:scheme
}

func main() {
	o := options{}
	o.bind(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	collectGarbageOften()

	if err := run(o); err != nil {
		setupLog.Error(err, "The manager stopped with an error")
		os.Exit(1)
	}
}

// collectGarbageOften lets the heap grow by half of the live objects between two collections, instead of by all of them: nearly all live objects are in the
// cache, and stay. The environment variable GOGC replaces the value.
func collectGarbageOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func run(o options) error {
	ctx := ctrl.SetupSignalHandler()
	// It is closed when the webhook's certificates are mounted.
	certificates := make(chan struct{})
	config := ctrl.GetConfigOrDie()
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if o.watchNamespaces, err = permitted(ctx, api, o.watchNamespaces); err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, managerOptions(o, certificates))
	if err != nil {
		return err
	}
	if err := children.IndexFields(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	reconciler := &controllers.GracefulAppReconciler{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder("gracefulapp-controller"),
		Clock:    clock.RealClock{},
		Live:     mgr.GetAPIReader(),

		Namespaces:      o.watchNamespaces,
		DrainProxyImage: o.drainProxyImage,
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return err
	}
	if o.enableWebhook {
		if err := setupWebhook(ctx, mgr, o, certificates); err != nil {
			return err
		}
	} else if err := os.Setenv("ENABLE_WEBHOOKS", "false"); err != nil { // the code that kubebuilder inserts reads it
		return err
	}
	// +kubebuilder:scaffold:builder

	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	setupLog.Info("Starting the manager", "version", version)
	return mgr.Start(ctx)
}

func managerOptions(o options, certificates <-chan struct{}) ctrl.Options {
	return ctrl.Options{
		Scheme:    scheme,
		Cache:     controllers.CacheOptions(o.watchNamespaces...),
		NewClient: children.NewClient,
		Client:    client.Options{Cache: &client.CacheOptions{Unstructured: true}}, // GracefulApps are read unstructured, as etcd has them
		Metrics: metricsserver.Options{
			BindAddress:    o.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
		// The server ends before the manager gives up.
		WebhookServer: certifiedServer{certificates: certificates, Server: webhook.NewServer(webhook.ServerOptions{
			Port: o.webhookPort, CertDir: o.webhookCertDir, Shutdown: o.gracefulShutdownTimeout - time.Second,
		})},
		HealthProbeBindAddress: o.probeAddress,
		PprofBindAddress:       o.pprofAddress.String(),
		LeaderElection:         o.leaderElect,
		LeaderElectionID:       "gracefulapp.apps.gracefulapp.dev",
		// Outside of a pod, controller-runtime knows no namespace.
		LeaderElectionNamespace: o.namespace,
		// The process exits right after the manager stops, so it can release the Lease, and the next leader need not wait until it expires.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &o.gracefulShutdownTimeout,
	}
}

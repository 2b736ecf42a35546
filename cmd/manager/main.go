// Command manager runs the controller and the admission webhook.
package main

import (
	"flag"
	"os"
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

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/controllers"
	"github.com/gracefulapp/gracefulapp/internal/webhook"
)

// version is set by the linker.
var version = "dev"

func main() {
	o := options{}
	o.bind(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))

	if err := run(o); err != nil {
		ctrl.Log.WithName("setup").Error(err, "The manager stopped with an error")
		os.Exit(1)
	}
}

func run(o options) error {
	mgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), managerOptions(o))
	if err != nil {
		return err
	}
	reconciler := &controllers.GracefulAppReconciler{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder("gracefulapp-controller"),
		Clock:    clock.RealClock{},
		Live:     mgr.GetAPIReader(),
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return err
	}
	ready, err := serveWebhook(mgr, o)
	if err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("webhook", ready); err != nil {
		return err
	}
	ctrl.Log.WithName("setup").Info("Starting the manager", "version", version)
	return mgr.Start(ctrl.SetupSignalHandler())
}

func managerOptions(o options) ctrl.Options {
	return ctrl.Options{
		Scheme: newScheme(),
		Client: client.Options{Cache: &client.CacheOptions{Unstructured: true}}, // GracefulApps are read unstructured, as etcd has them
		Metrics: metricsserver.Options{
			BindAddress:    o.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
		// The server ends before the manager gives up.
		WebhookServer:          webhook.NewServer(webhook.ServerOptions{Port: o.webhookPort, CertDir: o.webhookCertDir, Shutdown: o.gracefulShutdownTimeout - time.Second}),
		HealthProbeBindAddress: o.probeAddress,
		LeaderElection:         o.leaderElect,
		LeaderElectionID:       "gracefulapp.apps.gracefulapp.dev",
		// The process exits right after the manager stops, so it can release the Lease, and the next leader need not wait until it expires.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &o.gracefulShutdownTimeout,
	}
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

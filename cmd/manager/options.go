package main

import (
	"flag"
	"os"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// options are the manager's flags. Their defaults are the names that config/default gives.
type options struct {
	metricsAddress          string
	probeAddress            string
	leaderElect             bool
	gracefulShutdownTimeout time.Duration

	webhookPort          int
	webhookCertDir       string
	webhookService       string
	webhookSecret        string
	webhookConfiguration string
	namespace            string

	nodePorts utilnet.PortRange
}

func (o *options) bind(flags *flag.FlagSet) {
	// The API server's own default.
	o.nodePorts = utilnet.PortRange{Base: 30_000, Size: 2768}
	flags.Var(&o.nodePorts, "service-node-port-range",
		"The API server's range of node ports; a GracefulApp that asks for another one is refused.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443",
		"Address of the metrics endpoint (HTTPS, authenticated and authorized); 0 turns it off.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Let only one replica reconcile; every replica answers the webhook.")
	flags.DurationVar(&o.gracefulShutdownTimeout, "graceful-shutdown-timeout", 10*time.Second,
		"How long admission and reconcile requests in flight may take after SIGTERM (the manager's own t1).")
	flags.IntVar(&o.webhookPort, "webhook-port", 9443, "Port of the admission webhook.")
	flags.StringVar(&o.webhookCertDir, "webhook-cert-dir", "/tmp/k8s-webhook-server/serving-certs",
		"Directory into which the webhook's Secret is mounted.")
	flags.StringVar(&o.webhookService, "webhook-service", "gracefulapp-webhook-service",
		"Name of the Service through which the API server reaches the webhook.")
	flags.StringVar(&o.webhookSecret, "webhook-secret", "gracefulapp-webhook-server-cert",
		"Name of the Secret that holds the webhook's certificates. It must exist; it is filled and renewed.")
	flags.StringVar(&o.webhookConfiguration, "webhook-configuration", "gracefulapp-validating-webhook-configuration",
		"Name of the ValidatingWebhookConfiguration that gets the CA certificate.")
	flags.StringVar(&o.namespace, "namespace", namespaceOr("gracefulapp-system"),
		"Namespace of the Secret and the Service; POD_NAMESPACE if that is set.")
}

func namespaceOr(fallback string) string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	return fallback
}

package main

import (
	"context"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/gracefulapp/gracefulapp/internal/webhook"
)

// certifiedServer is a webhook server that starts as soon as its certificates are mounted. Without them, Start would fail and stop the manager.
type certifiedServer struct {
	ctrlwebhook.Server
	certificates <-chan struct{}
}

func (s certifiedServer) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.certificates:
		return s.Server.Start(ctx)
	}
}

// setupWebhook registers the webhook. It closes certificates as soon as they are mounted.
func setupWebhook(ctx context.Context, mgr ctrl.Manager, o options, certificates chan struct{}) error {
	if err := awaitCertificates(mgr, o, certificates); err != nil {
		return err
	}
	ready, err := webhook.SetupWithManager(ctx, mgr, webhook.Options{Configuration: o.webhookConfiguration, NodePorts: o.nodePorts, DrainProxyImage: o.drainProxyImage})
	if err != nil {
		return err
	}
	return mgr.AddReadyzCheck("webhook", ready)
}

// awaitCertificates closes mounted when the certificates are mounted. With certificate rotation, the operator creates and renews them itself. Otherwise
// the kubelet starts the pod only when another program has created their Secret.
func awaitCertificates(mgr ctrl.Manager, o options, mounted chan struct{}) error {
	if !o.webhookCertRotation {
		close(mounted)
		return nil
	}
	return rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: o.namespace, Name: o.webhookSecret},
		CertDir:        o.webhookCertDir,
		CAName:         "gracefulapp-ca",
		CAOrganization: "gracefulapp",
		DNSName:        o.webhookService + "." + o.namespace + ".svc",
		IsReady:        mounted,
		Webhooks:       []rotator.WebhookInfo{{Name: o.webhookConfiguration, Type: rotator.Validating}},
		FieldOwner:     "gracefulapp-certificates",
		// Every replica serves, so every replica waits for the certificates.
		RequireLeaderElection: false,
	})
}

package fuzz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// injected is the name of the containers and of the label that the policies add.
const injected = "injected"

// createPoliciesOfSpecs creates the policies and, for each, a namespace with the account that a cluster's controllers would create. The policies are
// in force when it returns.
func createPoliciesOfSpecs(ctx context.Context, api client.Client) error {
	if err := createAccount(ctx, api, namespaceOf("")); err != nil {
		return err
	}
	for name, p := range policiesOfSpecs {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(name), Labels: map[string]string{policyLabel: name}}}
		if err := errors.Join(p.policy(name).Create(ctx, api), api.Create(ctx, namespace)); err != nil {
			return err
		}
		if err := createAccount(ctx, api, namespace.Name); err != nil {
			return err
		}
	}
	for name, p := range policiesOfSpecs {
		if err := waitForPolicy(ctx, api, namespaceOf(name), p.resource); err != nil {
			return fmt.Errorf("the policy %q is not in force: %w", name, err)
		}
	}
	return nil
}

// namespaceOf a policy, in which specs are tried.
func namespaceOf(policy string) string {
	if policy == "" {
		return metav1.NamespaceDefault
	}
	return policy
}

func createAccount(ctx context.Context, api client.Client, namespace string) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}
	return client.IgnoreAlreadyExists(api.Create(ctx, account))
}

func (p specPolicy) policy(name string) testapp.Policy {
	writes := testapp.Writes{Resource: p.resource, Labels: map[string]string{policyLabel: name}}
	if p.resource == "deployments" {
		writes.Group = appsv1.GroupName
	}
	if p.patches != "" {
		return testapp.Mutating(name, writes, testapp.JSONPatch(p.patches))
	}
	return testapp.Denying(name, writes, admissionregistrationv1.Validation{Expression: p.unless, Reason: p.reason})
}

// waitForPolicy waits until an example of the resource is changed or denied.
func waitForPolicy(ctx context.Context, api client.Client, namespace, resource string) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		object := example(resource)
		object.SetNamespace(namespace)
		if err := api.Create(ctx, object, client.DryRunAll); err != nil {
			if strings.Contains(err.Error(), "denied request") {
				return true, nil
			}
			return false, err
		}
		data, err := json.Marshal(object)
		return strings.Contains(string(data), injected), err
	})
}

// example is an object of the resource that each policy of it changes or denies.
func example(resource string) client.Object {
	metadata := metav1.ObjectMeta{Name: "example", Labels: map[string]string{"app": "example"}}
	pod := corev1.PodSpec{Containers: []corev1.Container{{Name: "example", Image: "example:1"}}, HostNetwork: true}
	switch resource {
	case "pods":
		return &corev1.Pod{ObjectMeta: metadata, Spec: pod}
	case "services":
		return &corev1.Service{ObjectMeta: metadata, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	return &appsv1.Deployment{ObjectMeta: metadata, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: metadata.Labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: metadata.Labels}, Spec: pod},
	}}
}

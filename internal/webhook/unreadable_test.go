package webhook

import (
	"encoding/json"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// TestUnreadableAppMayBeCorrected checks the update of an app that has a number beyond int32, which the schema forbids now. An update to a valid
// app is allowed, one that breaks an invariant is rejected.
func TestUnreadableAppMayBeCorrected(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	webhook := newWebhook(scheme, Validator{})
	for _, tt := range []struct {
		name    string
		updated *v1alpha1.GracefulApp
		allowed bool
	}{
		{name: "a good app", updated: testapp.New(), allowed: true},
		{name: "an app that breaks an invariant", updated: testapp.New(times(20, 5, 25))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := json.Marshal(tt.updated)
			if err != nil {
				t.Fatal(err)
			}
			unreadable := strings.Replace(string(data), `"containerPort":8080`, `"containerPort":4294967297`, 1)
			if unreadable == string(data) {
				t.Fatal("the old app has no number beyond int32")
			}
			answer := webhook.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				Operation: admissionv1.Update,
				Object:    runtime.RawExtension{Raw: data},
				OldObject: runtime.RawExtension{Raw: []byte(unreadable)},
			}})
			if answer.Allowed != tt.allowed {
				t.Errorf("allowed %t, want %t: %+v", answer.Allowed, tt.allowed, answer.Result)
			}
		})
	}
}
